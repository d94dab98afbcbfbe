// The words that operators' scripts send: answered as memcached 1.6.45 answers them.
#include <string>
#include <vector>

#include "tests/unit/catch.h"
#include "tests/unit/service_client.h"

using namespace tandem;
using namespace tandem::test;

namespace {

struct exchange {
  std::string command;
  std::string answer;
};

void require_all(client& c, const std::vector<exchange>& all) {
  for (const auto& [command, answer] : all) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, command.size() + 2}) {
      CAPTURE(command, piece);
      REQUIRE(c.send(command + "\r\n", piece) == answer + "\r\n");
    }
  }
}

const std::string bad_line = "CLIENT_ERROR bad command line format";

}  // namespace

TEST_CASE("lru_crawler answers as memcached's does") {
  client c;
  require_all(c, {
                     {"lru_crawler", "ERROR"},
                     {"lru_crawler foo", "ERROR"},
                     {"lru_crawler enable", "ERROR failed to start lru crawler thread"},
                     {"lru_crawler sleep 50", "OK"},
                     {"lru_crawler sleep x", bad_line},
                     {"lru_crawler sleep 1000000", "OK"},
                     {"lru_crawler sleep 1000001", "CLIENT_ERROR sleep must be one second or less"},
                     {"lru_crawler tocrawl 9", "OK"},
                     {"lru_crawler tocrawl -1", bad_line},
                     {"lru_crawler crawl 1", "OK"},
                     {"lru_crawler crawl all", "OK"},
                     {"lru_crawler crawl 1,2,63", "OK"},
                     {"lru_crawler crawl 64", "BADCLASS invalid class id"},
                     {"lru_crawler crawl 0", "BADCLASS invalid class id"},
                     {"lru_crawler crawl x", "BADCLASS invalid class id"},
                     {"lru_crawler crawl 1,", "OK"},
                     {"lru_crawler crawl hash", "ERROR an unknown error happened"},
                     {"lru_crawler crawl 1 2", "ERROR"},
                     {"lru_crawler metadump", "ERROR"},
                     {"lru_crawler metadump x", "BADCLASS invalid class id"},
                     {"lru_crawler mgdump 1,64", "BADCLASS invalid class id"},
                 });
  REQUIRE(stat(c, "stats settings", "lru_crawler_sleep") == "1000000");
  REQUIRE(stat(c, "stats settings", "lru_crawler_tocrawl") == "9");
  REQUIRE(stat(c, "stats settings", "lru_crawler") == "yes");
  require_all(c, {
                     {"lru_crawler disable", "OK"},
                     {"lru_crawler disable", "OK"},
                     {"lru_crawler crawl 1", "CLIENT_ERROR lru crawler disabled"},
                     {"lru_crawler metadump all", "CLIENT_ERROR lru crawler disabled"},
                     {"lru_crawler mgdump all", "CLIENT_ERROR lru crawler disabled"},
                 });
  REQUIRE(stat(c, "stats settings", "lru_crawler") == "no");
  REQUIRE(c.send("lru_crawler enable\r\n") == "OK\r\n");
}

TEST_CASE("slabs and lru answer as memcached's without slab moves and maintainer") {
  client c;
  require_all(c,
              {
                  {"slabs", "ERROR"},
                  {"slabs foo", "ERROR"},
                  {"slabs reassign 1 2", "CLIENT_ERROR slab reassignment disabled"},
                  {"slabs reassign 1", "ERROR"},
                  {"slabs automove", "ERROR"},
                  {"slabs automove 0", "OK"},
                  {"slabs automove 2", "OK"},
                  {"slabs automove 3", "ERROR"},
                  {"slabs automove x", bad_line},
                  {"slabs automove window 10", "OK"},
                  {"slabs automove window 2", "CLIENT_ERROR automove window too low or too high"},
                  {"slabs automove window", bad_line},
                  {"slabs automove ratio 0.5", "OK"},
                  {"slabs automove ratio", "ERROR"},
                  {"slabs automove freeratio 0.005", "OK"},
                  {"lru", "ERROR"},
                  {"lru foo", "ERROR"},
                  {"lru mode flat", "OK"},
                  {"lru mode segmented", "OK"},
                  {"lru temp_ttl 10", "OK"},
                  {"lru tune 10 25 0.1 2.0", "OK"},
                  {"lru tune 10 25 0.1", "ERROR"},
                  {"lru tune 50 40 0.1 2.0", "ERROR hot and warm pcts must not exceed 80"},
                  {"lru tune 10 25 0 2.0", "ERROR hot/warm age factors must be greater than 0"},
                  {"lru tune x 25 0.1 2.0", "ERROR"},
                  {"misbehave", "ERROR"},
                  {"debugtime m 1", "ERROR"},
                  {"extstore free_memchunks 1 1", "ERROR"},
              });
  REQUIRE(stat(c, "stats settings", "slab_automove") == "2");
  REQUIRE(stat(c, "stats settings", "slab_automove_window") == "10");
  REQUIRE(stat(c, "stats settings", "slab_reassign") == "no");
}

TEST_CASE("shutdown ends the process where it is allowed") {
  client off;
  REQUIRE(off.send("shutdown\r\n") == "SERVER_ERROR: shutdown not enabled\r\n");
  REQUIRE(off.send("shutdown graceful\r\n") == "SERVER_ERROR: shutdown not enabled\r\n");
  REQUIRE(off.send("shutdown noreply\r\n").empty());
  REQUIRE(off.host.shutdowns.empty());
  for (const std::string command : {"shutdown", "shutdown graceful"}) {
    client c;
    c.host.allowed.shutdown = true;
    REQUIRE(stat(c, "stats settings", "shutdown_command") == "yes");
    REQUIRE(c.send("shutdown now\r\n") == "CLIENT_ERROR invalid shutdown mode\r\n");
    REQUIRE(c.host.shutdowns.empty());
    REQUIRE(c.send(command + "\r\nget k\r\n").empty());
    REQUIRE(c.connection.wants_close());
    REQUIRE(c.host.shutdowns.size() == 1);
  }
}
