#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/catch.h"
#include "tests/unit/service_client.h"

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

TEST_CASE("cachedump shows live keys up to its limit") {
  client c;
  c.send("set a 0 0 1\r\n1\r\nset b 0 100 2\r\n12\r\nset gone 0 -1 1\r\n1\r\n" +
         set("large", std::string(20000, 'x')) + "set dead 0 0 1\r\n1\r\ndelete dead\r\n");
  const std::string all = c.send("stats cachedump 1 0\r\n");
  for (const std::string row :
       {"ITEM a [1 b; 0 s]\r\n", "ITEM b [2 b; 1800000100 s]\r\n", "ITEM large [20000 b; 0 s]\r\n"})
    REQUIRE(all.find(row) != std::string::npos);
  REQUIRE(std::count(all.begin(), all.end(), '\n') == 4);
  const std::string two = c.send("stats cachedump 1 2\r\n");
  REQUIRE(std::count(two.begin(), two.end(), '\n') == 3);
  REQUIRE(c.send("stats cachedump 2 0\r\n") == "END\r\n");
}

TEST_CASE("prefixes beyond the limit are not counted") {
  client c;
  c.send("stats detail on\r\n");
  for (int i = 0; i < 1000; ++i) c.send("get p" + std::to_string(i) + ":k\r\n");
  const std::string dump = c.send("stats detail dump\r\n");
  REQUIRE(std::count(dump.begin(), dump.end(), '\n') == 257);
}
