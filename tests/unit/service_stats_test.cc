#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/catch.h"
#include "tests/unit/service_client.h"

using namespace tandem;
using namespace tandem::test;

namespace {

// "STAT <name> <value>" lines, neither with a space in it, and END.
bool is_rows_and_end(std::string_view reply) {
  while (reply != "END\r\n") {
    const std::size_t end = reply.find("\r\n");
    if (end == std::string_view::npos) return false;
    const std::string_view line = reply.substr(0, end);
    const std::size_t value = line.rfind(' ');
    const bool good = line.starts_with("STAT ") && value > 5 && value + 1 < line.size() &&
                      std::count(line.begin(), line.end(), ' ') == 2;
    if (!good) return false;
    reply.remove_prefix(end + 2);
  }
  return true;
}

constexpr unsigned classes = 4;

// The sum of a row over all slab classes; `where` is "items:" or "".
std::uint64_t sum(client& c, const std::string& command, const std::string& where,
                  const std::string& name) {
  std::uint64_t total = 0;
  for (unsigned id = 1; id <= classes; ++id) {
    const std::string value = stat(c, command, where + std::to_string(id) + ":" + name);
    if (!value.empty()) total += std::stoull(value);
  }
  return total;
}

std::uint64_t number(client& c, const std::string& name) {
  return std::stoull(stat(c, "stats", name));
}

// Stores `count` values of `size` bytes under keys of their own.
void fill(client& c, const std::string& prefix, int count, std::size_t size) {
  const std::string value(size, 'x');
  for (int i = 0; i < count; ++i)
    c.send("set " + prefix + std::to_string(i) + " 0 0 " + std::to_string(size) + " noreply\r\n" +
           value + "\r\n");
}

}  // namespace

TEST_CASE("statistics count what memcached counts") {
  client c;
  c.send(
      "set a 0 0 1\r\n1\r\nget a b\r\ngat 0 a b\r\ntouch a 0\r\ntouch b 0\r\nincr a 1\r\n"
      "incr b 1\r\ndecr b 1\r\ncas a 0 0 1 1\r\n1\r\ncas b 0 0 1 1\r\n1\r\nflush_all 100\r\n"
      "delete a\r\ndelete b\r\nset c 0 0 2000000\r\n");
  c.send(std::string(2000002, 'x'));
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"cmd_get", "2"},
      {"cmd_set", "3"},
      {"cmd_touch", "4"},
      {"cmd_flush", "1"},
      {"get_hits", "1"},
      {"get_misses", "1"},
      {"touch_hits", "2"},
      {"touch_misses", "2"},
      {"incr_hits", "1"},
      {"incr_misses", "1"},
      {"decr_hits", "0"},
      {"decr_misses", "1"},
      {"cas_hits", "0"},
      {"cas_misses", "1"},
      {"cas_badval", "1"},
      {"delete_hits", "1"},
      {"delete_misses", "1"},
      {"store_too_large", "1"},
      {"curr_items", "0"},
      {"total_items", "2"},
      {"pid", "42"},
      {"rusage_user", "1.234567"},
      {"replication", "MASTER"},
      {"repcached_version", "2.3.1"},
      {"link", ""},
      {"time", "1800000000"},
      {"version", "1.6.45-memtandem-" MEMTANDEM_VERSION},
      {"limit_maxbytes", "16777216"},
      {"pointer_size", "64"},
      {"auth_cmds", "0"},
  };
  for (const auto& [name, value] : expected) {
    CAPTURE(name);
    REQUIRE(stat(c, "stats", name) == value);
  }
  REQUIRE(c.send("stats reset\r\n") == "RESET\r\n");
  REQUIRE(c.host.resets == 1);
  REQUIRE(stat(c, "stats", "cmd_set") == "0");
  REQUIRE(c.host.statistics.cmd_set.get() == 3);
  c.send(set("a", "1"));
  REQUIRE(stat(c, "stats", "cmd_set") == "1");
}

TEST_CASE("every stats answer is rows and an END") {
  client c;
  c.send(set("a", "1"));
  for (const std::string command : {"stats", "stats settings", "stats items", "stats slabs",
                                    "stats sizes", "stats conns", "stats replication"}) {
    const std::string reply = c.send(command + "\r\n");
    CAPTURE(command, reply);
    REQUIRE(is_rows_and_end(reply));
  }
  // The configuration's rows stand for the service's own.
  REQUIRE(stat(c, "stats settings", "idle_timeout") == "60");
  REQUIRE(stat(c, "stats settings", "item_size_max") == "1048576");
  REQUIRE(stat(c, "stats replication", "link") == "up");
  REQUIRE(stat(c, "stats items", "items:1:number") == "1");
  REQUIRE(stat(c, "stats slabs", "1:cmd_set") == "1");
}

TEST_CASE("stats names what memcached names, in its order") {
  client c;
  const auto in_order = [&](const std::string& command, const std::vector<std::string>& names) {
    const std::string reply = c.send(command + "\r\n");
    std::size_t at = 0;
    for (const std::string& name : names) {
      const std::size_t found = reply.find("STAT " + name + " ");
      CAPTURE(name);
      REQUIRE(found != std::string::npos);
      REQUIRE(found >= at);
      at = found;
    }
  };
  in_order("stats", {"pid",
                     "uptime",
                     "time",
                     "version",
                     "pointer_size",
                     "rusage_user",
                     "rusage_system",
                     "max_connections",
                     "curr_connections",
                     "total_connections",
                     "rejected_connections",
                     "connection_structures",
                     "cmd_get",
                     "cmd_set",
                     "cmd_flush",
                     "cmd_touch",
                     "cmd_meta",
                     "get_hits",
                     "get_misses",
                     "get_expired",
                     "get_flushed",
                     "delete_misses",
                     "delete_hits",
                     "incr_misses",
                     "incr_hits",
                     "decr_misses",
                     "decr_hits",
                     "cas_misses",
                     "cas_hits",
                     "cas_badval",
                     "touch_hits",
                     "touch_misses",
                     "store_too_large",
                     "store_no_memory",
                     "auth_cmds",
                     "auth_errors",
                     "bytes_read",
                     "bytes_written",
                     "limit_maxbytes",
                     "accepting_conns",
                     "listen_disabled_num",
                     "time_in_listen_disabled_us",
                     "threads",
                     "conn_yields",
                     "hash_bytes",
                     "hash_is_expanding",
                     "lru_crawler_running",
                     "lru_crawler_starts",
                     "log_worker_dropped",
                     "log_worker_written",
                     "log_watcher_skipped",
                     "log_watcher_sent",
                     "log_watchers",
                     "bytes",
                     "curr_items",
                     "total_items",
                     "expired_unfetched",
                     "evicted_unfetched",
                     "evicted_active",
                     "evictions",
                     "reclaimed",
                     "crawler_reclaimed",
                     "crawler_items_checked",
                     "memory_used_bytes"});
  in_order("stats settings", {"maxbytes",
                              "maxconns",
                              "tcpport",
                              "udpport",
                              "inter",
                              "verbosity",
                              "oldest",
                              "evictions",
                              "domain_socket",
                              "umask",
                              "shutdown_command",
                              "growth_factor",
                              "chunk_size",
                              "num_threads",
                              "stat_key_prefix",
                              "detail_enabled",
                              "reqs_per_event",
                              "cas_enabled",
                              "tcp_backlog",
                              "binding_protocol",
                              "auth_enabled_sasl",
                              "auth_enabled_ascii",
                              "item_size_max",
                              "maxconns_fast",
                              "hashpower_init",
                              "slab_reassign",
                              "slab_automove",
                              "lru_crawler",
                              "lru_crawler_sleep",
                              "flush_enabled",
                              "dump_enabled",
                              "hash_algorithm",
                              "lru_maintainer_thread",
                              "lru_segmented",
                              "hot_lru_pct",
                              "temp_lru",
                              "idle_timeout",
                              "watcher_logbuf_size",
                              "track_sizes",
                              "ssl_enabled",
                              "num_napi_ids",
                              "memory_file",
                              "client_flags_size"});
}

TEST_CASE("a miss of something expired or flushed is counted, whatever asked for it") {
  client c;
  c.send("set a 0 10 1\r\n1\r\nset b 0 10 1\r\n1\r\nset c 0 10 1\r\n1\r\nset d 0 0 1\r\n1\r\n");
  c.send("get a\r\nget a\r\ndelete b\r\nadd c 0 0 1\r\n1\r\nget c\r\n", 1000, after(10));
  REQUIRE(stat(c, "stats", "get_expired") == "3");
  c.send("flush_all\r\nincr d 1\r\nget d\r\n", 1000, after(10));
  REQUIRE(stat(c, "stats", "get_flushed") == "1");
  REQUIRE(stat(c, "stats", "get_misses") == "3");
  c.send("stats reset\r\n");
  REQUIRE(stat(c, "stats", "get_expired") == "0");
  REQUIRE(stat(c, "stats", "get_flushed") == "0");
}

TEST_CASE("stats sub-commands that are none are errors") {
  client c;
  for (const std::string what : {"foo", "noreply", "malloc", "self", "maps", "sizes_enable",
                                 "sizes_disable", "item", "setting", "extstore", "proxy"}) {
    CAPTURE(what);
    REQUIRE(c.send("stats " + what + "\r\n") == "ERROR\r\n");
  }
  REQUIRE(c.send("stats sizes\r\n") == "STAT sizes_status disabled\r\nEND\r\n");
}

TEST_CASE("a slab class shows the items of its sizes") {
  client c;
  REQUIRE(c.send("stats items\r\n") == "END\r\n");
  fill(c, "tiny", 4, 20);
  fill(c, "small", 3, 2000);
  fill(c, "medium", 2, 20000);
  fill(c, "large", 1, 200000);
  const std::vector<std::string> chunk_sizes = {"512", "4096", "32768", "1048576"};
  for (unsigned id = 1; id <= classes; ++id) {
    const std::string prefix = std::to_string(id) + ":";
    const std::string count = std::to_string(5 - id);
    CAPTURE(id);
    REQUIRE(stat(c, "stats items", "items:" + prefix + "number") == count);
    REQUIRE(stat(c, "stats slabs", prefix + "used_chunks") == count);
    REQUIRE(stat(c, "stats slabs", prefix + "chunk_size") == chunk_sizes[id - 1]);
    REQUIRE(stat(c, "stats slabs", prefix + "total_pages") == "1");
    REQUIRE(stat(c, "stats slabs", prefix + "mem_requested") ==
            stat(c, "stats items", "items:" + prefix + "mem_requested"));
    REQUIRE(stat(c, "stats slabs", prefix + "cmd_set") == (id == 1 ? "10" : "0"));
  }
  REQUIRE(stat(c, "stats slabs", "active_slabs") == "4");
  REQUIRE(stat(c, "stats slabs", "total_malloced") == stat(c, "stats", "memory_used_bytes"));
  REQUIRE(stat(c, "stats items", "items:5:number").empty());
}

TEST_CASE("the slab classes add up to the whole") {
  client c;
  c.send("set old 0 -1 1\r\n1\r\nset soon 0 1 1\r\n1\r\nget old\r\n");
  for (int round = 0; round < 4; ++round) {
    const std::string prefix = "k" + std::to_string(round) + "-";
    fill(c, prefix + "tiny", 20000, 50);
    fill(c, prefix + "small", 1000, 3000);
    fill(c, prefix + "medium", 100, 20000);
    fill(c, prefix + "large", 10, 200000);
  }
  c.send("get soon\r\n", 20, after(2));
  REQUIRE(number(c, "evictions") != 0);
  REQUIRE(number(c, "reclaimed") != 0);
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"number", "curr_items"},   {"mem_requested", "bytes"},
      {"evicted", "evictions"},   {"evicted_unfetched", "evicted_unfetched"},
      {"reclaimed", "reclaimed"}, {"expired_unfetched", "expired_unfetched"},
  };
  for (const auto& [row, whole] : rows) {
    CAPTURE(row);
    REQUIRE(sum(c, "stats items", "items:", row) == number(c, whole));
  }
  REQUIRE(sum(c, "stats slabs", "", "used_chunks") == number(c, "curr_items"));
  REQUIRE(sum(c, "stats slabs", "", "mem_requested") == number(c, "bytes"));
  REQUIRE(sum(c, "stats slabs", "", "cmd_set") == number(c, "cmd_set"));
  REQUIRE(sum(c, "stats slabs", "", "total_chunks") ==
          sum(c, "stats slabs", "", "used_chunks") + sum(c, "stats slabs", "", "free_chunks"));
  // The kinds of memory are all of it but the journal.
  std::uint64_t parts = 0;
  for (const char* part : {"hash_bytes", "log_bytes", "large_bytes", "warm_bytes"})
    parts += number(c, part);
  REQUIRE(parts <= number(c, "memory_used_bytes"));
  REQUIRE(number(c, "memory_used_bytes") <= number(c, "limit_maxbytes"));
}

TEST_CASE("an evicted item tells when it was last used, a kept one how old it is") {
  client c;
  for (int i = 0; i < 20; ++i)
    c.send(set("k" + std::to_string(i), std::string(1 << 20 >> 1, 'x')), std::string::npos,
           after(static_cast<std::uint32_t>(i)));
  for (int i = 20; i < 60; ++i)
    c.send("set k" + std::to_string(i) + " 0 1000 524288\r\n" + std::string(1 << 19, 'x') + "\r\n",
           std::string::npos, after(100));
  REQUIRE(std::stoull(stat(c, "stats items", "items:4:evicted")) >= 20);
  REQUIRE(stat(c, "stats items", "items:4:evicted_nonzero") != "0");
  REQUIRE(std::stoull(stat(c, "stats items", "items:4:evicted_time")) <= 100);
}

TEST_CASE("a higher memory limit lets more in") {
  client c;
  fill(c, "a", 200, 100000);
  const std::uint64_t before = number(c, "curr_items");
  REQUIRE(before < 200);
  REQUIRE(c.send("cache_memlimit 64\r\n") == "OK\r\n");
  REQUIRE(stat(c, "stats", "limit_maxbytes") == "67108864");
  REQUIRE(stat(c, "stats settings", "maxbytes") == "67108864");
  fill(c, "b", 200, 100000);
  REQUIRE(number(c, "curr_items") == before + 200);
}

TEST_CASE("a lower memory limit evicts, and what is read stays") {
  client c;
  fill(c, "a", 100000, 100);
  fill(c, "b", 20, 200000);
  const std::uint64_t before = number(c, "evictions");
  REQUIRE(number(c, "memory_used_bytes") > std::uint64_t{8} << 20);
  REQUIRE(c.send("cache_memlimit 8\r\n") == "OK\r\n");
  REQUIRE(stat(c, "stats", "limit_maxbytes") == "8388608");
  for (int i = 0; i < 10; ++i) c.data.housekeep(noon);
  REQUIRE(number(c, "memory_used_bytes") <= std::uint64_t{8} << 20);
  REQUIRE(number(c, "memory_used_bytes") > std::uint64_t{7} << 20);
  REQUIRE(number(c, "evictions") > before);
  fill(c, "c", 20000, 100);
  REQUIRE(number(c, "memory_used_bytes") <= std::uint64_t{8} << 20);
  // And back.
  REQUIRE(c.send("cache_memlimit 16\r\n") == "OK\r\n");
  fill(c, "d", 100000, 100);
  REQUIRE(number(c, "memory_used_bytes") > std::uint64_t{14} << 20);
}

TEST_CASE("no store or read waits for the whole of a lowered limit") {
  service::store_options options = small_store();
  options.memory_bytes = std::size_t{64} << 20;
  client c(options);
  fill(c, "a", 500000, 100);
  REQUIRE(c.send("cache_memlimit 16\r\n") == "OK\r\n");
  // One call does a part; the housekeeping gets there.
  REQUIRE(number(c, "memory_used_bytes") > std::uint64_t{32} << 20);
  int calls = 0;
  while (number(c, "memory_used_bytes") > std::uint64_t{16} << 20) {
    c.data.housekeep(noon);
    REQUIRE(++calls < 100);
  }
  REQUIRE(calls > 10);
}

TEST_CASE("a memory limit that the shards cannot do with is refused") {
  const std::string refused = "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n";
  service::store_options options = small_store();
  options.memory_bytes = std::size_t{256} << 20;
  options.shards = 4;
  client c(options);
  REQUIRE(c.send("cache_memlimit 7\r\n") ==
          "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n");
  REQUIRE(c.send("cache_memlimit 1000000001\r\n") ==
          "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n");
  REQUIRE(c.send("cache_memlimit 16\r\n") == refused);  // 16 segments of 256 KiB, and the journal
  REQUIRE(c.send("cache_memlimit 17\r\n") == "OK\r\n");
  REQUIRE(c.send("cache_memlimit 2048\r\n") == "OK\r\n");
  REQUIRE(c.send("cache_memlimit 2049\r\n") == refused);  // past eight times the configured
  REQUIRE(stat(c, "stats", "limit_maxbytes") == std::to_string(std::uint64_t{2048} << 20));
  // Books for that many segments stay: a fraction of that limit is the least from now on.
  REQUIRE(c.send("cache_memlimit 32\r\n") == refused);
  REQUIRE(c.send("cache_memlimit 33\r\n") == "OK\r\n");
}

TEST_CASE("cachedump shows live keys of a class up to its limit") {
  client c;
  c.send("set a 0 0 1\r\n1\r\nset b 0 100 2\r\n12\r\nset gone 0 -1 1\r\n1\r\n" +
         set("large", std::string(20000, 'x')) + "set dead 0 0 1\r\n1\r\ndelete dead\r\n");
  const std::string all = c.send("stats cachedump 1 0\r\n");
  for (const std::string row : {"ITEM a [1 b; 0 s]\r\n", "ITEM b [2 b; 1800000100 s]\r\n"})
    REQUIRE(all.find(row) != std::string::npos);
  REQUIRE(std::count(all.begin(), all.end(), '\n') == 3);
  REQUIRE(c.send("stats cachedump 3 0\r\n") == "ITEM large [20000 b; 0 s]\r\nEND\r\n");
  const std::string one = c.send("stats cachedump 1 1\r\n");
  REQUIRE(std::count(one.begin(), one.end(), '\n') == 2);
  for (const char* id : {"0", "2", "4", "5", "63"})
    REQUIRE(c.send(std::string("stats cachedump ") + id + " 0\r\n") == "END\r\n");
}

TEST_CASE("prefixes beyond the limit are not counted") {
  client c;
  c.send("stats detail on\r\n");
  for (int i = 0; i < 1000; ++i) c.send("get p" + std::to_string(i) + ":k\r\n");
  const std::string dump = c.send("stats detail dump\r\n");
  REQUIRE(std::count(dump.begin(), dump.end(), '\n') == 257);
}
