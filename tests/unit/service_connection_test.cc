#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/catch.h"
#include "tests/unit/service_client.h"

using namespace tandem;
using namespace tandem::test;
using namespace std::literals;

namespace {

std::string cas_unique(client& c, const std::string& key) {
  const std::string reply = c.send("gets " + key + "\r\n");
  const std::string line = reply.substr(0, reply.find('\r'));
  return line.substr(line.rfind(' ') + 1);
}

std::string cas(client& c, const std::string& key, const std::string& unique) {
  return c.send("cas " + key + " 0 0 1 " + unique + "\r\n2\r\n");
}

// Bytes that differ from place to place, so that a value put together wrongly shows.
std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 251);
  return text;
}

// More than everything a connection may hold: the output limit and one value, in a buffer that
// doubles when it grows, and the reads.
constexpr std::size_t buffers_max = 600 * 1024;

}  // namespace

TEST_CASE("a miss of something expired or flushed is counted as such") {
  client c;
  c.send("set k 0 10 1\r\n1\r\nset l 0 10 1\r\n1\r\n");
  REQUIRE(c.send("get k\r\nget m\r\n", 1, after(11)) == "END\r\nEND\r\n");
  REQUIRE(c.send("mg l\r\n", 1, after(11)) == "EN\r\n");
  REQUIRE(c.data.statistics().find_expired == 2);
  REQUIRE(c.data.statistics().find_flushed == 0);
  c.send("set k 0 0 1\r\n1\r\nflush_all\r\nget k\r\nget k\r\n", 9, after(12));
  REQUIRE(c.data.statistics().find_expired == 2);
  REQUIRE(c.data.statistics().find_flushed == 1);
}

TEST_CASE("a cas unique is good until the value changes") {
  client c;
  c.send(set("k", "1"));
  REQUIRE(cas(c, "k", cas_unique(c, "k")) == "STORED\r\n");

  const std::vector<std::pair<std::string, std::string>> rows = {
      {"touch k 100\r\n", "STORED\r\n"},
      {"gat 100 k\r\n", "STORED\r\n"},
      {set("k", "1", "add"), "STORED\r\n"},
      {"get k\r\n", "STORED\r\n"},
      {"incr k 1\r\n", "EXISTS\r\n"},
      {set("k", "1", "append"), "EXISTS\r\n"},
      {set("k", "1"), "EXISTS\r\n"},
      {set("k", "1", "replace"), "EXISTS\r\n"},
      {"delete k\r\n", "NOT_FOUND\r\n"},
      {"flush_all\r\n", "NOT_FOUND\r\n"},
      {set("k", "1", "prepend"), "EXISTS\r\n"},
  };
  for (const auto& [between, answer] : rows) {
    c.send(set("k", "1"));
    const std::string unique = cas_unique(c, "k");
    c.send(between);
    CAPTURE(between);
    REQUIRE(cas(c, "k", unique) == answer);
  }
}

TEST_CASE("items expire by the clock that is passed in") {
  client c;
  const auto sent_at = [&](std::string_view bytes, instant now) {
    return c.send(bytes, std::string_view::npos, now);
  };
  sent_at("set k 0 10 1\r\n1\r\n", noon);
  REQUIRE(sent_at("get k\r\n", after(9)) == hit("k", "1") + "END\r\n");
  REQUIRE(sent_at("incr k 1\r\n", after(9)) == "2\r\n");
  REQUIRE(sent_at("get k\r\n", after(10)) == "END\r\n");
  sent_at("set k 0 10 1\r\n1\r\n", after(20));
  REQUIRE(sent_at("touch k 0\r\n", after(21)) == "TOUCHED\r\n");
  REQUIRE(sent_at("get k\r\n", after(1000)) == hit("k", "1") + "END\r\n");
}

TEST_CASE("a delayed flush takes what was stored before its moment") {
  client c;
  c.send("set k 0 0 1\r\n1\r\nflush_all 2\r\n");
  REQUIRE(c.send("get k\r\n", 100, after(1)) == hit("k", "1") + "END\r\n");
  c.data.housekeep(after(3));
  REQUIRE(c.send("get k\r\n", 100, after(3)) == "END\r\n");
}

TEST_CASE("large values come and go whole at every size around the limits") {
  for (const std::size_t size : {16383, 16384, 16385, 20000, 65536, 1000000}) {
    const std::string value = pattern(size);
    for (const std::size_t piece : {1UL, 13UL, 4096UL, 16384UL, 5000000UL}) {
      if (piece == 1 && size > 20000) continue;
      CAPTURE(size, piece);
      client c;
      c.takes_random_steps = piece != 1;
      REQUIRE(c.send(set("k", value) + "get k\r\n", piece) ==
              "STORED\r\n" + hit("k", value) + "END\r\n");
      REQUIRE(c.send("get k x k\r\n") == hit("k", value) + hit("k", value) + "END\r\n");
    }
  }
}

TEST_CASE("append and prepend join small and large values in every mix") {
  const std::vector<std::size_t> sizes = {0, 5, 16000, 16384, 100000};
  for (const std::size_t old : sizes) {
    for (const std::size_t added : sizes) {
      CAPTURE(old, added);
      client c;
      const std::string a = pattern(old), b = std::string(added, 'b');
      c.send(set("k", a));
      REQUIRE(c.send(set("k", b, "append") + "get k\r\n", 4096) ==
              "STORED\r\n" + hit("k", a + b) + "END\r\n");
      REQUIRE(c.send(set("k", b, "prepend") + "get k\r\n", 4096) ==
              "STORED\r\n" + hit("k", b + a + b) + "END\r\n");
    }
  }
}

TEST_CASE("an append that would grow over the limit is not stored") {
  client c;
  const std::string value(900000, 'a');
  c.send(set("k", value));
  REQUIRE(c.send(set("k", std::string(900000, 'b'), "append") + "get k\r\n") ==
          "NOT_STORED\r\n" + hit("k", value) + "END\r\n");
}

TEST_CASE("a large block that does not end in CR LF leaves the old value") {
  client c;
  c.send(set("k", "old"));
  const std::string value(30000, 'x');
  REQUIRE(c.send("set k 0 0 30000\r\n" + value + "XYget k\r\n", 1000) ==
          "CLIENT_ERROR bad data chunk\r\n" + hit("k", "old") + "END\r\n");
  REQUIRE(c.data.statistics().large_bytes == 0);
}

TEST_CASE("a client that leaves in the middle of a large value leaves no memory behind") {
  client other;
  {
    service::connection leaving(other.data, other.host.statistics, other.host, {});
    const std::string line = "set k 0 0 500000\r\nabc";
    std::memcpy(leaving.prepare().data(), line.data(), line.size());
    leaving.received(line.size(), noon);
    REQUIRE(other.data.statistics().large_bytes >= 32 << 10);
    leaving.received_end();
    REQUIRE(leaving.wants_close());
  }
  REQUIRE(other.data.statistics().large_bytes == 0);
}

TEST_CASE("incr does not take a large value for a number") {
  client c;
  c.send(set("k", "5" + std::string(20000, ' ')));
  REQUIRE(c.send("incr k 1\r\n") ==
          "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
}

TEST_CASE("a full node without eviction says so, and a failed set removes the old value") {
  service::store_options options = small_store();
  options.evict = false;
  client c(options);
  const std::string full = "SERVER_ERROR out of memory storing object\r\n";
  c.send(set("old", "1") + set("kept", "1"));
  const std::string value(100000, 'x');
  std::string reply;
  for (int i = 0; i < 1000 && (i == 0 || reply == "STORED\r\n"); ++i)
    reply = c.send(set("large" + std::to_string(i), value), 8192);
  REQUIRE(reply == full);
  REQUIRE(c.send(set("old", value) + "get old\r\n", 8192) == full + "END\r\n");
  REQUIRE(c.send(set("new", value, "add"), 8192) == full);
  REQUIRE(c.send("set new 0 0 100000 noreply\r\n" + value + "\r\nget kept\r\n", 8192) ==
          hit("kept", "1") + "END\r\n");

  const std::string small(10000, 's');
  for (int i = 0; i < 1000 && reply != full; ++i)
    reply = c.send(set("s" + std::to_string(i), small));
  REQUIRE(reply == full);
  REQUIRE(stat(c, "stats", "store_no_memory") != "0");
}

TEST_CASE("a client that does not read stops being read from, and costs bounded memory") {
  client c;
  c.send(set("small", std::string(15000, 's')) + set("large", std::string(500000, 'l')));
  c.deaf = true;
  std::string gets;
  for (int i = 0; i < 20000; ++i) gets += "get small small\r\n";
  SECTION("small values") {}
  SECTION("large values") {
    gets.clear();
    for (int i = 0; i < 20000; ++i) gets += "get large small\r\n";
  }
  SECTION("one get with very many keys") {
    gets = "get";
    for (int i = 0; i < 5000; ++i) gets += " small";
    gets += "\r\n";
  }
  c.send(gets, 1 << 20);
  REQUIRE_FALSE(c.connection.wants_read());
  REQUIRE_FALSE(c.connection.has_more());
  REQUIRE(c.connection.buffered_bytes() < buffers_max);
  REQUIRE(c.data.used_bytes() < std::size_t{4} << 20);
  c.deaf = false;
  c.settle(noon);
  REQUIRE(c.connection.wants_read());
  REQUIRE_FALSE(c.connection.has_output());
  // Half a line may be left.
  REQUIRE(c.connection.buffered_bytes() < 20 * 1024);
}

TEST_CASE("requests beyond an event's share wait for their turn") {
  client c;
  std::string gets;
  for (int i = 0; i < 50; ++i) gets += "get k\r\n";
  std::memcpy(c.connection.prepare().data(), gets.data(), gets.size());
  c.connection.received(gets.size(), noon);
  std::vector<std::size_t> answered;
  const auto count = [&] {
    std::string_view pieces[1];
    c.connection.output(pieces);
    answered.push_back(pieces[0].size() / 5);
    c.connection.sent(pieces[0].size());
  };
  count();
  while (c.connection.has_more()) {
    REQUIRE_FALSE(c.connection.wants_read());
    c.connection.resume(noon);
    count();
  }
  REQUIRE(answered == std::vector<std::size_t>{20, 20, 10});
  REQUIRE(c.connection.wants_read());
  REQUIRE(stat(c, "stats", "conn_yields") == "2");
}

TEST_CASE("a get of many keys gives way as often as it is long") {
  client c;
  std::string line = "get";
  for (int i = 0; i < 5000; ++i) line += " k" + std::to_string(i);
  REQUIRE(c.send(line + "\r\nversion\r\n", 16384).starts_with("END\r\nVERSION"));
  REQUIRE(c.host.statistics.conn_yields.get() >= 2);
  REQUIRE(c.host.statistics.get_misses.get() == 5000);
}

TEST_CASE("a get line of 190 KB is answered whatever its pieces") {
  std::string line = "get", expected;
  for (int i = 0; i < 18725; ++i) line += " foobar" + std::to_string(i % 1000);
  client c;
  for (int i = 0; i < 1000; ++i) c.send(set("foobar" + std::to_string(i), std::to_string(i)));
  for (int i = 0; i < 18725; ++i)
    expected += hit("foobar" + std::to_string(i % 1000), std::to_string(i % 1000));
  for (const std::size_t piece : {100UL, 1400UL, 65536UL, 1000000UL})
    REQUIRE(c.send(line + "\r\n", piece) == expected + "END\r\n");
  REQUIRE(c.connection.buffered_bytes() < 4096);
}

TEST_CASE("an endless line is cut off and costs bounded memory") {
  for (const std::string start : {"get ", "set ", "x", " "}) {
    client c;
    c.send(start + std::string(3 << 20, 'k'), 16384);
    REQUIRE(c.connection.wants_close());
    REQUIRE_FALSE(c.connection.wants_read());
    REQUIRE(c.unsent != 0);
    REQUIRE(c.connection.buffered_bytes() < std::size_t{5} << 20);
  }
}

TEST_CASE("a huge length is swallowed in bounded memory") {
  client c;
  c.send("set k 0 0 1073741824\r\n");
  const std::string garbage(1 << 20, '\n');
  for (int i = 0; i < 1024; ++i) REQUIRE(c.send(garbage, 1 << 20).empty());
  REQUIRE(c.connection.buffered_bytes() < 64 * 1024);
  REQUIRE(c.data.used_bytes() < std::size_t{1} << 20);
  REQUIRE(c.send("\r\nget k\r\n") == "SERVER_ERROR object too large for cache\r\nEND\r\n");
}

TEST_CASE("an idle client costs less than 4 KiB, asked to prepare or not") {
  client c;
  c.send(set("k", std::string(100000, 'x')) + "get k k k\r\n");
  c.send(set("k", std::string(3000, 'x')));
  for (int i = 0; i < 10; ++i) c.send("get k\r\n");
  REQUIRE(c.connection.buffered_bytes() < 2048);
  c.connection.prepare();
  REQUIRE(c.connection.buffered_bytes() < 4096);
}

TEST_CASE("mutations are announced once per event and only when there were some") {
  client c;
  c.send(
      "get a\r\ngets b\r\nadd c 0 0 1\r\nxyz\r\nversion\r\nbogus\r\ntouch d 0\r\ngat 0 d\r\nincr d "
      "1\r\n");
  REQUIRE(c.host.mutations == 0);
  c.send("set a 0 0 1\r\n1\r\nset b 0 0 1\r\n1\r\ndelete a\r\n");
  REQUIRE(c.host.mutations == 1);
  for (const std::string_view line :
       {"incr b 1\r\n", "touch b 0\r\n", "gat 0 b\r\n", "flush_all\r\n"}) {
    const int before = c.host.mutations;
    c.send(line);
    CAPTURE(line);
    REQUIRE(c.host.mutations == before + 1);
  }
}

TEST_CASE("what was sent before the end of input is answered") {
  client c;
  std::string gets;
  for (int i = 0; i < 50; ++i) gets += "get k\r\n";
  std::memcpy(c.connection.prepare().data(), gets.data(), gets.size());
  c.connection.received(gets.size(), noon);
  c.connection.received_end();
  REQUIRE_FALSE(c.connection.wants_read());
  REQUIRE_FALSE(c.connection.wants_close());
  std::size_t bytes = 0;
  while (true) {
    std::string_view pieces[1];
    while (c.connection.output(pieces) != 0) {
      bytes += pieces[0].size();
      c.connection.sent(pieces[0].size());
    }
    if (!c.connection.has_more()) break;
    c.connection.resume(noon);
  }
  REQUIRE(bytes == 50 * 5);
  REQUIRE(c.connection.wants_close());
}
