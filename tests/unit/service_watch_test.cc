// `watch`: its lines, its bounds, and what it does to a connection.
#include <array>
#include <regex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/service/watch_events.h"
#include "common/service/watch_hub.h"
#include "common/service/watch_line.h"
#include "common/service/watch_ring.h"
#include "tests/unit/catch.h"
#include "tests/unit/service_client.h"

using namespace tandem;
using namespace tandem::test;
namespace watch = tandem::service::watch;
using service::watch_hub;

namespace {

using strings = std::vector<std::string>;

strings lines_of(const std::string& text) {
  strings lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

// Without time and number.
strings without_head(const std::string& text) {
  strings lines = lines_of(text);
  for (std::string& line : lines) {
    const std::size_t type = line.find("type=");
    if (type != std::string::npos) line.erase(0, type);
  }
  return lines;
}

struct counting_waker final : service::watch_waker {
  void wake() override { ++woken; }
  int woken = 0;
};

// A second connection to a client's node, which watches.
class watching {
 public:
  explicit watching(client& c, const service::connection_limits& limits = {})
      : connection_(c.data, c.host.statistics, c.host, limits) {
    connection_.name(77, &waker);
  }

  std::string send(const std::string& text, std::size_t piece = std::string::npos) {
    for (std::size_t at = 0; at < text.size(); at += piece) {
      const std::string part = text.substr(at, piece);
      const std::span<char> room = connection_.prepare();
      part.copy(room.data(), room.size());
      connection_.received(part.size(), noon);
      if (piece == std::string::npos) break;
    }
    return take();
  }
  // What the owner of the socket does when it was woken.
  std::string woken() {
    connection_.pull();
    return take();
  }
  service::connection& connection() { return connection_; }

  counting_waker waker;

 private:
  std::string take() {
    std::string all;
    while (connection_.has_output()) {
      std::array<std::string_view, 4> pieces;
      std::size_t n = 0;
      for (std::size_t i = 0, count = connection_.output(pieces); i < count; ++i) {
        all += pieces[i];
        n += pieces[i].size();
      }
      connection_.sent(n);
    }
    return all;
  }

  service::connection connection_;
};

}  // namespace

TEST_CASE("each kind of a watch tells its own in memcached's words") {
  client c;
  c.connection.name(5, nullptr);
  watching all(c);
  REQUIRE(all.send("watch fetchers mutations deletions\r\n") == "OK\r\n");
  watching stores(c);
  REQUIRE(stores.send("watch mutations\r\n") == "OK\r\n");
  c.send("set k 9 100 3\r\nabc\r\nget k\r\nadd k 0 0 1\r\n1\r\nget none\r\ndelete k\r\n");
  c.send("cas k 0 0 1 7\r\n1\r\nset n 0 0 1\r\n1\r\nincr n 9\r\nappend n 0 0 1\r\n0\r\n");
  c.send("gat 0 n\r\ntouch n 5\r\ndelete none\r\n");
  const strings stored = {
      "type=item_store key=k status=stored cmd=set ttl=100 clsid=1 cfd=5 size=3",
      "type=item_store key=k status=not_stored cmd=add ttl=0 clsid=0 cfd=5 size=1",
      "type=item_store key=k status=not_found cmd=cas ttl=0 clsid=0 cfd=5 size=1",
      "type=item_store key=n status=stored cmd=set ttl=0 clsid=1 cfd=5 size=1",
      "type=item_store key=n status=stored cmd=incr ttl=0 clsid=1 cfd=5 size=2",
      "type=item_store key=n status=stored cmd=append ttl=0 clsid=1 cfd=5 size=3",
  };
  REQUIRE(without_head(stores.woken()) == stored);
  const auto get = [](const std::string& key, const std::string& status, int size) {
    const char* const slab_class = status == "found" ? "1" : "0";
    return "type=item_get key=" + key + " status=" + status + " clsid=" + slab_class +
           " cfd=5 size=" + std::to_string(size);
  };
  const strings everything = {
      get("k", "not_found", 0),
      stored[0],
      get("k", "found", 3),
      get("k", "found", 3),
      stored[1],
      get("none", "not_found", 0),
      get("k", "found", 3),
      "type=deleted key=k cmd=delete clsid=1 size=3",
      get("k", "not_found", 0),
      stored[2],
      get("n", "not_found", 0),
      stored[3],
      get("n", "found", 1),
      stored[4],
      get("n", "found", 2),
      stored[5],
      get("n", "found", 3),
      get("n", "found", 3),
      get("none", "not_found", 0),
  };
  REQUIRE(without_head(all.woken()) == everything);
}

TEST_CASE("a watch's lines have the time and rising numbers") {
  client c;
  watching w(c);
  REQUIRE(w.send("watch\r\n") == "OK\r\n");
  c.send("get a b c\r\n");
  const strings lines = lines_of(w.woken());
  REQUIRE(lines.size() == 3);
  for (std::size_t i = 0; i < lines.size(); ++i)
    REQUIRE(lines[i].starts_with("ts=1800000000.000000 gid=" + std::to_string(i + 1) + " type="));
}

TEST_CASE("a watch tells why a key was missed") {
  client c;
  watching w(c);
  w.send("watch fetchers\r\n");
  c.send("set e 0 10 1\r\n1\r\nset f 0 0 1\r\n1\r\n");
  w.woken();
  c.send("get e\r\n", 100, after(11));
  c.send("flush_all\r\nget f\r\nget f\r\n", 100, after(11));
  const strings lines = lines_of(w.woken());
  REQUIRE(lines.size() == 3);
  REQUIRE(lines[0].find("key=e status=expired") != std::string::npos);
  REQUIRE(lines[1].find("key=f status=flushed") != std::string::npos);
  REQUIRE(lines[2].find("key=f status=not_found") != std::string::npos);
  REQUIRE(stat(c, "stats", "get_expired") == "1");
  REQUIRE(stat(c, "stats", "get_flushed") == "1");
  REQUIRE(stat(c, "stats", "get_misses") == "3");
}

TEST_CASE("keys in a watch are URL-encoded, the longest too") {
  client c;
  watching w(c);
  w.send("watch mutations\r\n");
  const std::string odd("a-._~Z9/%\t\x80\xff", 12);
  c.send(set(odd, "1") + set(std::string(250, '#'), "1"));
  const strings lines = lines_of(w.woken());
  REQUIRE(lines.size() == 2);
  REQUIRE(lines[0].find(" key=a-._~Z9%2F%25%09%80%FF status=") != std::string::npos);
  std::string encoded;
  for (int i = 0; i < 250; ++i) encoded += "%23";
  REQUIRE(lines[1].find(" key=" + encoded + " status=stored") != std::string::npos);
  REQUIRE(lines[1].ends_with(" size=1"));
}

TEST_CASE("a refused store is told with its reason") {
  client c;
  watching w(c);
  w.send("watch mutations\r\n");
  c.send("set big 0 0 2000000\r\n" + std::string(2000000, 'x') + "\r\n");
  const strings lines = without_head(w.woken());
  REQUIRE(lines == strings{"type=item_store key=big status=too_large cmd=set ttl=0 clsid=0 cfd=0 "
                           "size=2000000"});
}

TEST_CASE("evictions are told with what was evicted") {
  client c;
  watching w(c);
  w.send("watch evictions\r\n");
  for (int i = 0; i < 60; ++i)
    c.send("set k" + std::to_string(i) + " 0 1000 500000\r\n" + std::string(500000, 'x') + "\r\n");
  const strings lines = without_head(w.woken());
  REQUIRE(std::to_string(lines.size()) == stat(c, "stats", "evictions"));
  const std::regex line("type=eviction key=k[0-9]+ fetch=no ttl=1000 la=0 clsid=4 size=500000");
  for (const std::string& each : lines) {
    CAPTURE(each);
    REQUIRE(std::regex_match(each, line));
  }
}

TEST_CASE("what the peer's records come to is told") {
  client c;
  watching w(c);
  w.send("watch replication\r\n");
  replication::record r;
  r.key = "from-there";
  r.value = "12";
  r.meta.stored = version(version::ticks_at(noon.wall), 3);
  c.data.apply(r, noon);
  c.data.apply(r, noon);
  const std::string rest = " cas=" + std::to_string(r.meta.stored.word()) + " size=2";
  REQUIRE(without_head(w.woken()) ==
          strings{"type=replication_apply key=from-there kind=value status=applied" + rest,
                  "type=replication_apply key=from-there kind=value status=known" + rest});
}

TEST_CASE("nobody watches: nothing is told") {
  client c;
  watch_hub& hub = c.host.watchers();
  REQUIRE_FALSE(hub.wants(~0U));
  {
    watching w(c);
    w.send("watch evictions connevents\r\n");
    REQUIRE(hub.wants(watch::evictions));
    REQUIRE_FALSE(hub.wants(watch::fetchers | watch::mutations | watch::deletions));
    c.send(set("k", "1") + "get k\r\ndelete k\r\n");
    REQUIRE(hub.statistics().published == 0);
    REQUIRE(hub.statistics().watchers == 1);
  }
  REQUIRE_FALSE(hub.wants(~0U));
  REQUIRE(hub.statistics().watchers == 0);
}

TEST_CASE("a slow watcher is skipped, told so, and costs a bounded memory") {
  client c;
  watching w(c, {.requests_per_event = 20, .output_limit = 4096});
  w.send("watch fetchers\r\n");
  const std::string key(200, 'k');
  for (int i = 0; i < 5000; ++i) c.send("get " + key + "\r\n");
  const watch_hub::counts counts = c.host.watchers().statistics();
  REQUIRE(counts.published == 5000);
  REQUIRE(counts.skipped > 3000);
  REQUIRE(counts.sent + counts.skipped == 5000);
  REQUIRE(stat(c, "stats", "log_watcher_skipped") == std::to_string(counts.skipped));
  REQUIRE(stat(c, "stats", "log_watcher_sent") == std::to_string(counts.sent));
  REQUIRE(stat(c, "stats", "log_worker_written") == "5000");
  REQUIRE(stat(c, "stats", "log_watchers") == "1");
  // A pull takes what there is room for, and the rest follows as it is sent.
  w.connection().pull();
  REQUIRE(w.connection().buffered_bytes() < 16384);
  const std::string told = w.woken();
  REQUIRE(told.size() <= watch_hub::buffer_bytes);
  REQUIRE(lines_of(told).size() == counts.sent);
  REQUIRE(told.find("skipped=") == std::string::npos);
  c.send("get next\r\n");
  const strings lines = lines_of(w.woken());
  REQUIRE(lines.size() == 2);
  REQUIRE(lines[0] == "skipped=" + std::to_string(counts.skipped));
  REQUIRE(lines[1].find("gid=5001 type=item_get key=next") != std::string::npos);
}

TEST_CASE("a watcher is woken once for all that comes before it looks") {
  client c;
  watching w(c);
  w.send("watch fetchers\r\n");
  REQUIRE(w.waker.woken == 0);
  c.send("get a b c\r\n");
  REQUIRE(w.waker.woken == 1);
  c.send("get d\r\n");
  REQUIRE(w.waker.woken == 1);
  REQUIRE(lines_of(w.woken()).size() == 4);
  c.send("get e\r\n");
  REQUIRE(w.waker.woken == 2);
}

TEST_CASE("so many may watch, and a place is free when one goes") {
  client c;
  std::vector<std::unique_ptr<watching>> all;
  for (std::size_t i = 0; i < watch_hub::watchers_max; ++i) {
    all.push_back(std::make_unique<watching>(c));
    REQUIRE(all.back()->send("watch\r\n") == "OK\r\n");
  }
  watching late(c);
  REQUIRE(late.send("watch\r\n") == "WATCHER_TOO_MANY log watcher limit reached\r\n");
  all.erase(all.begin() + 3);
  REQUIRE(late.send("watch\r\n") == "OK\r\n");
}

TEST_CASE("a watch answers what came before and ignores what follows, however it is cut") {
  const std::string sent =
      "set k 0 0 1\r\n1\r\nwatch evictions\r\nget k\r\nquit\r\nset k 0 0 9\r\n";
  for (std::size_t piece = 1; piece <= sent.size(); ++piece) {
    client c;
    watching w(c);
    std::string replies;
    CAPTURE(piece);
    REQUIRE(w.send(sent, piece) == "STORED\r\nOK\r\n");
    REQUIRE(w.connection().wants_read());
    REQUIRE_FALSE(w.connection().wants_close());
    REQUIRE(w.connection().watches());
    w.connection().received_end();
    REQUIRE(w.connection().wants_close());
    REQUIRE(w.connection().left());
  }
}

TEST_CASE("a wrong watch is an error and none is started") {
  client c;
  REQUIRE(c.send("watch foo\r\n") == "ERROR\r\n");
  REQUIRE(c.send("watch fetchers evict\r\n") == "ERROR\r\n");
  REQUIRE(c.send("watch proxyreqs\r\n") == "ERROR\r\n");
  c.host.allowed.watch = false;
  REQUIRE(c.send("watch\r\n") == "CLIENT_ERROR watch commands not allowed\r\n");
  REQUIRE(c.send("get k\r\n") == "END\r\n");
  REQUIRE(c.host.watchers().statistics().watchers == 0);
}

TEST_CASE("a ring gives back what it was given, wherever it wraps") {
  for (std::size_t start = 0; start < 16; ++start) {
    service::watch_ring ring(16);
    ring.push(std::string(start, '-'));
    ring.pop(start);
    const std::string text = "0123456789abcdef";
    for (std::size_t n = 0; n <= text.size(); ++n) {
      ring.push(text.substr(0, n));
      REQUIRE(ring.size() == n);
      REQUIRE(ring.free() == 16 - n);
      std::string back;
      while (ring.size() != 0) {
        back += ring.front();
        ring.pop(ring.front().size());
      }
      REQUIRE(back == text.substr(0, n));
    }
  }
}

TEST_CASE("a line is cut where it would grow too long, and holds no line end") {
  service::watch_line line("t");
  line.add("msg", "a\r\nb\tc");
  REQUIRE(line.view() == "type=t msg=a??b?c");
  line.add("long", std::string(5000, 'x'));
  REQUIRE(line.view().size() == 1024);
}

TEST_CASE("any threads publish while watchers come, take and go") {
  watch_hub hub;
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      service::watch_line line("item_get");
      line.add_key("key");
      while (!stop.load())
        if (hub.wants(watch::fetchers)) hub.publish(watch::fetchers, noon.wall, line.view());
    });
  for (int round = 0; round < 50; ++round) {
    const auto w = hub.add(watch::fetchers, nullptr);
    service::output_queue out;
    std::size_t lines = 0;
    while (lines < 20) {
      w->take(4096, out);
      std::array<std::string_view, 1> piece;
      if (out.pieces(piece) == 0) continue;
      lines += static_cast<std::size_t>(std::count(piece[0].begin(), piece[0].end(), '\n'));
      out.sent(piece[0].size());
    }
  }
  stop = true;
  for (std::thread& each : threads) each.join();
  REQUIRE(hub.statistics().watchers == 0);
  REQUIRE(hub.statistics().published >= 1000);
}
