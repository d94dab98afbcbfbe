// What travels when two nodes meet again: no more than the peer lacks, whatever happened meanwhile.
#include <string>

#include "tests/unit/catch.h"
#include "tests/unit/node_pair.h"

using namespace tandem;
using namespace tandem::testing;

namespace {

// A pair whose journals hold some two thousand changes.
void small_journals(pair_of_nodes& p) {
  p.configure = [](int, service::store_options& so, node_options&) {
    so.journal_bytes = std::size_t{32} << 10;
  };
}

void start(pair_of_nodes& p) {
  p.start(0, false, 0);
  p.start(1, true, 1);
  p.pass(milliseconds(500));
  REQUIRE(p.role(1) == role_state::slave);
}

void require_equal(pair_of_nodes& p) {
  const auto a = p.sides[0].data->digest(p.now());
  const auto b = p.sides[1].data->digest(p.now());
  REQUIRE(a.items == b.items);
  REQUIRE(a.digest == b.digest);
}

bool settled(const pair_of_nodes& p) {
  for (int i = 0; i < 2; ++i)
    if (const auto s = p.status(i); !s.linked || !s.peer_in_sync || s.lag_records != 0)
      return false;
  return true;
}

}  // namespace

TEST_CASE("after an overrun only what is newer travels, deletes too") {
  pair_of_nodes p;
  small_journals(p);
  start(p);
  for (int i = 0; i < 20'000; ++i) p.put(0, key(i), "old");
  p.pass(milliseconds(500));
  for (int i = 0; i < 1000; ++i) p.put(1, key(20'000 + i), "of the slave");
  p.pass(milliseconds(500));
  require_equal(p);
  const std::uint64_t sent[2] = {p.status(0).records_sent, p.status(1).records_sent};

  p.cut = true;
  p.pass(milliseconds(1500));
  for (int i = 0; i < 5000; ++i) p.put(0, key(i), "new");
  for (int i = 5000; i < 6000; ++i) p.remove(0, key(i));
  for (int i = 0; i < 10; ++i) p.put(1, key(20'000 + i), "meanwhile");
  p.cut = false;
  p.pass(milliseconds(2500));
  REQUIRE(settled(p));
  require_equal(p);
  REQUIRE(p.get(1, key(5)) == "new");
  REQUIRE(p.get(1, key(5500)) == "(miss)");
  REQUIRE(p.status(0).partial_syncs_sent == 1);
  REQUIRE(p.status(0).full_syncs_sent == 1);
  // The other direction's journal reached back.
  REQUIRE(p.status(1).resumes_sent == 1);
  REQUIRE(p.status(0).records_sent - sent[0] == 6000);
  REQUIRE(p.status(1).records_sent - sent[1] == 10);
  REQUIRE(p.status(0).inventories_asked == 0);
}

TEST_CASE("a peer that was started anew gets everything, whatever its predecessor had") {
  pair_of_nodes p;
  small_journals(p);
  start(p);
  for (int i = 0; i < 5000; ++i) p.put(0, key(i), "v");
  p.pass(milliseconds(500));
  p.kill(1);
  p.start(1, true, 1);
  p.pass(milliseconds(1500));
  REQUIRE(settled(p));
  require_equal(p);
  REQUIRE(p.sides[1].data->digest(p.now()).items == 5000);
  REQUIRE(p.status(0).full_syncs_sent == 2);
}

TEST_CASE(
    "news of an eviction that fell out of the journal is told when the peer says what it has") {
  pair_of_nodes p;
  p.configure = [](int i, service::store_options& so, node_options&) {
    so.journal_bytes = std::size_t{32} << 10;
    so.shards = 1;
    so.memory_bytes = std::size_t{i == 0 ? 2U : 32U} << 20;
  };
  start(p);
  p.put(0, "stale", "old");
  p.put(0, "kept", "old");
  p.pass(milliseconds(200));
  REQUIRE(p.get(1, "stale") == "old");
  p.cut = true;
  p.pass(milliseconds(1500));
  p.put(0, "stale", "new");
  for (int i = 0; p.get(0, "stale") != "(miss)"; ++i) p.put(0, key(i), std::string(5000, 'f'));
  for (int i = 0; i < 10'000; ++i) p.put(0, key(i % 20), "small");
  p.cut = false;
  p.pass(milliseconds(3000));
  REQUIRE(settled(p));
  REQUIRE(p.get(1, "stale") == "(miss)");
  REQUIRE(p.status(0).inventories_asked > 0);
  // Asked once: the next break needs no more than its changes.
  const auto asked = p.status(0).inventories_asked;
  const auto told = p.status(1).records_sent;
  p.reset();
  p.pass(milliseconds(1000));
  REQUIRE(settled(p));
  REQUIRE(p.status(0).inventories_asked == asked);
  REQUIRE(p.status(1).records_sent == told);
}

TEST_CASE("a copy that is cut again and again goes on where it was") {
  pair_of_nodes p;
  constexpr int items = 30'000;
  p.start(0, false, 0);
  for (int i = 0; i < items; ++i) p.put(0, key(i), std::string(100, 'v'));
  for (int i = 0; i < 5; ++i) p.put(0, "large" + std::to_string(i), std::string(80'000, 'l'));
  p.start(1, true, 1);
  int cuts = 0;
  for (; p.role(1) != role_state::slave; ++cuts) {
    REQUIRE(cuts < 60);
    p.bytes_left = 400'000;  // of some six million
    p.pass(milliseconds(300));
    if (p.role(1) == role_state::slave) break;
    REQUIRE(p.cut);
    // Changes during the break arrive as well.
    p.put(0, key(cuts), "changed");
    p.cut = false;
    p.reset();
  }
  p.bytes_left = UINT64_MAX;
  p.cut = false;
  p.pass(milliseconds(1500));
  REQUIRE(settled(p));
  require_equal(p);
  REQUIRE(cuts > 8);
  const auto received = p.status(1).records_received;
  INFO(received << " records in " << cuts << " sessions");
  REQUIRE(received < items * 5 / 4);
}

TEST_CASE("a throttled copy keeps to its rate, says how far it is, and lets live changes pass") {
  pair_of_nodes p;
  p.configure = [](int, service::store_options&, node_options& no) {
    no.sync_rate = std::size_t{100} << 10;
  };
  p.start(0, false, 0);
  for (int i = 0; i < 10'000; ++i) p.put(0, key(i), std::string(60, 'v'));  // about a megabyte
  p.start(1, true, 1);
  p.pass(milliseconds(5000));
  const node_status half = p.status(0);
  REQUIRE(p.role(1) == role_state::syncing);
  REQUIRE(half.sync_permille > 200);
  REQUIRE(half.sync_permille < 800);
  REQUIRE(half.sync_rate > 50'000);
  REQUIRE(half.sync_rate < 150'000);
  REQUIRE(half.sync_seconds_left >= 2);
  REQUIRE(half.sync_seconds_left <= 12);
  REQUIRE(p.logged(0, "replication: sending to 10.0.0.9:40000: "));
  p.put(0, "live", "now");
  p.pass(milliseconds(50));
  REQUIRE(p.get(1, "live") == "now");
  p.pass(milliseconds(9000));
  REQUIRE(p.role(1) == role_state::slave);
  require_equal(p);
  REQUIRE(p.status(0).sync_permille == 1000);
  REQUIRE(p.logged(0, " records to 10.0.0.9:40000 in "));
}

TEST_CASE("two nodes that both hold data merge") {
  pair_of_nodes p;
  p.start(0, false, 0);
  for (int i = 0; i < 1000; ++i) p.put(0, key(i), "a");
  p.micros += 1'000'000;
  p.start(1, true, 1);
  // Both have served alone before they meet.
  p.cut = true;
  p.pass(milliseconds(3500));
  REQUIRE(p.role(1) == role_state::master);
  for (int i = 500; i < 1500; ++i) p.put(1, key(i), "b");
  p.cut = false;
  p.pass(milliseconds(3000));
  REQUIRE(settled(p));
  require_equal(p);
  REQUIRE(p.sides[0].data->digest(p.now()).items == 1500);
  REQUIRE(p.get(0, key(100)) == "a");
  REQUIRE(p.get(0, key(700)) == "b");
  REQUIRE(p.get(1, key(100)) == "a");
}
