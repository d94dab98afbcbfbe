// `lru_crawler metadump` and `mgdump`.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/catch.h"
#include "tests/unit/service_client.h"

using namespace tandem;
using namespace tandem::test;

namespace {

std::string metadump(client& c) {
  return c.send("lru_crawler metadump all\r\n");
}

// How often each line that begins with `head` names a key.
std::multiset<std::string> keys_of(const std::string& reply, const std::string& head) {
  std::multiset<std::string> keys;
  for (std::size_t at = reply.find(head); at != std::string::npos; at = reply.find(head, at)) {
    at += head.size();
    keys.insert(reply.substr(at, reply.find_first_of(" \r", at) - at));
  }
  return keys;
}

}  // namespace

TEST_CASE("a metadump tells of every visible item what memcached tells") {
  client c;
  c.send("set plain 7 0 3\r\nabc\r\nset expires 0 100 1\r\n1\r\nget expires\r\n");
  c.send("set past 0 -1 1\r\n1\r\nset dead 0 0 1\r\n1\r\ndelete dead\r\n");
  const std::string before = metadump(c);
  REQUIRE(before.find("key=plain ") != std::string::npos);
  REQUIRE(before.find(" fetch=no cls=1 size=32 flags=7 \n") != std::string::npos);
  const std::string cas = c.send("gets plain\r\n").substr(16);
  const std::string reply = metadump(c);
  const std::string plain = "key=plain exp=-1 la=1800000000 cas=" + cas.substr(0, cas.find('\r')) +
                            " fetch=yes cls=1 size=32 flags=7 \n";
  REQUIRE(reply.starts_with("OK\r\n"));
  REQUIRE(reply.ends_with("\nEND\r\n"));
  REQUIRE(reply.find(plain) != std::string::npos);
  REQUIRE(reply.find("key=expires exp=1800000100 la=1800000000 cas=") != std::string::npos);
  REQUIRE(keys_of(reply, "key=") == std::multiset<std::string>{"plain", "expires"});
  REQUIRE(c.send("get plain\r\n") == "VALUE plain 7 3\r\nabc\r\nEND\r\n");
}

TEST_CASE("a metadump of an empty cache, and of classes") {
  client c;
  REQUIRE(metadump(c) == "OK\r\nEND\r\n");
  c.send(set("small", "1") + set("large", std::string(20000, 'x')));
  REQUIRE(keys_of(c.send("lru_crawler metadump 1\r\n"), "key=").count("large") == 0);
  REQUIRE(keys_of(c.send("lru_crawler metadump 3\r\n"), "key=") ==
          std::multiset<std::string>{"large"});
  REQUIRE(keys_of(c.send("lru_crawler metadump 1,3\r\n"), "key=").size() == 2);
  REQUIRE(keys_of(c.send("lru_crawler metadump hash\r\n"), "key=").size() == 2);
  REQUIRE(c.send("lru_crawler metadump 63\r\n") == "OK\r\nEND\r\n");
}

TEST_CASE("keys in a metadump are URL-encoded, in a mgdump they are as they are") {
  client c;
  c.send(set("a/b%\x01", "1"));
  REQUIRE(metadump(c).find("key=a%2Fb%25%01 exp=") != std::string::npos);
  REQUIRE(c.send("lru_crawler mgdump all\r\n") == "OK\r\nmg a/b%\x01\r\nEN\r\n");
}

TEST_CASE("keys stored through base64 are base64 in a mgdump") {
  client c;
  for (const auto& [key, encoded] : std::vector<std::pair<std::string, std::string>>{
           {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foo\xff", "Zm9v/w=="}}) {
    c.send("flush_all\r\n");
    const service::hashed_key k(key);
    c.data.lock(k, noon).put(k, 0, 0, "v", engine::mark::binary_key);
    REQUIRE(c.send("lru_crawler mgdump hash\r\n") == "OK\r\nmg " + encoded + " b\r\nEN\r\n");
  }
}

TEST_CASE("a dump is answered in its turn, however the requests are cut") {
  const std::string sent =
      "set k 0 0 1\r\n1\r\nlru_crawler mgdump all\r\nget k\r\nlru_crawler mgdump all\r\n";
  const std::string dump = "OK\r\nmg k\r\nEN\r\n";
  for (std::size_t piece = 1; piece <= sent.size(); ++piece) {
    client c(small_store(), {.requests_per_event = 1, .output_limit = 4096});
    CAPTURE(piece);
    REQUIRE(c.send(sent, piece) == "STORED\r\n" + dump + hit("k", "1") + "END\r\n" + dump);
  }
}

TEST_CASE("a dump keeps to the output limit, and others write meanwhile") {
  service::store_options options = small_store();
  options.shards = 4;
  client c(options, {.requests_per_event = 2, .output_limit = 8192});
  const int count = 5000;
  for (int i = 0; i < count; ++i) c.send(set("kept" + std::to_string(i), "v"));
  service::connection dumping(c.data, c.host.statistics, c.host,
                              {.requests_per_event = 2, .output_limit = 8192});
  const std::string request = "lru_crawler metadump all\r\n";
  request.copy(dumping.prepare().data(), request.size());
  dumping.received(request.size(), noon);
  std::string reply;
  int rounds = 0;
  std::size_t most = 0;
  for (; dumping.has_output() || dumping.has_more(); ++rounds) {
    most = std::max(most, dumping.buffered_bytes());
    REQUIRE(reply.empty() == (rounds == 0));
    std::array<std::string_view, 1> piece;
    if (dumping.output(piece) != 0) {
      const std::size_t n = std::min<std::size_t>(piece[0].size(), 3000);
      reply += piece[0].substr(0, n);
      dumping.sent(n);
    }
    // New keys, and ones that go, while the walk is on its way.
    c.send(set("new" + std::to_string(rounds), std::string(2000, 'x')));
    c.send("delete new" + std::to_string(rounds / 2) + "\r\n" +
           set("kept" + std::to_string(rounds), "another"));
    if (dumping.has_more()) dumping.resume(noon);
  }
  REQUIRE(rounds > 50);
  REQUIRE(most < std::size_t{8192} + 2 * 65536);
  REQUIRE(reply.ends_with("\nEND\r\n"));
  const std::multiset<std::string> keys = keys_of(reply, "key=");
  for (int i = 0; i < count; ++i) REQUIRE(keys.count("kept" + std::to_string(i)) >= 1);
  REQUIRE(dumping.wants_read());
}

TEST_CASE("one dump at a time, also when the other's client is gone") {
  client c(small_store(), {.requests_per_event = 20, .output_limit = 1});
  c.send(set("k", "1"));
  {
    client* const self = &c;
    service::connection slow(self->data, self->host.statistics, self->host, {.output_limit = 1});
    const std::string request = "lru_crawler metadump all\r\n";
    request.copy(slow.prepare().data(), request.size());
    slow.received(request.size(), noon);
    REQUIRE_FALSE(slow.wants_read());
    REQUIRE(metadump(c) == "BUSY currently processing crawler request\r\n");
    REQUIRE(c.send("lru_crawler mgdump all\r\n") ==
            "BUSY currently processing crawler request\r\n");
    REQUIRE(c.send("lru_crawler crawl 1\r\n") == "BUSY currently processing crawler request\r\n");
    REQUIRE(stat(c, "stats", "lru_crawler_running") == "1");
  }
  REQUIRE(stat(c, "stats", "lru_crawler_running") == "0");
  REQUIRE(metadump(c).starts_with("OK\r\nkey=k "));
  REQUIRE(stat(c, "stats", "lru_crawler_starts") == "2");
  REQUIRE(stat(c, "stats", "crawler_items_checked") == "1");
}

TEST_CASE("dumps that are not allowed are refused in memcached's words") {
  client c;
  c.host.allowed.dumps = false;
  c.send(set("k", "1"));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"lru_crawler metadump all", "ERROR metadump not allowed\r\n"},
      {"lru_crawler mgdump all", "ERROR key dump not allowed\r\n"},
      {"stats cachedump 1 0", "CLIENT_ERROR stats cachedump not allowed\r\n"},
      {"stats detail on", "CLIENT_ERROR stats detail not allowed\r\n"},
      {"stats detail", "CLIENT_ERROR stats detail not allowed\r\n"},
  };
  for (const auto& [command, answer] : cases) {
    CAPTURE(command);
    REQUIRE(c.send(command + "\r\n") == answer);
  }
  REQUIRE(stat(c, "stats settings", "dump_enabled") == "no");
}
