// Versions under clocks that nobody should have: none is issued twice, whatever the wall clocks do.
#include <algorithm>
#include <cstdint>

#include "common/base/prng.h"
#include "common/replication/clock.h"
#include "tests/unit/catch.h"

using namespace tandem;
using replication::hybrid_clock;

namespace {

wall_time wall_at(std::int64_t micros) {
  return wall_time(std::chrono::seconds(1'800'000'000) + std::chrono::microseconds(micros));
}

}  // namespace

TEST_CASE("ten million versions of one key from two nodes: each node's rise, no two are equal") {
  // Both wall clocks jump, by up to half a minute either way, and go on slowly; each node learns of
  // the other's versions now and then. Rising at each node and marked with the node that issued
  // it, no version can come twice.
  constexpr std::uint64_t count = 10'000'000;
  hybrid_clock clocks[2];
  version last[2];
  std::int64_t walls[2] = {0, 0};
  prng random(1);
  std::uint64_t falling = 0, foreign = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t roll = random.next();
    const unsigned node = roll & 1U;
    walls[node] += static_cast<std::int64_t>(roll >> 8 & 3U);
    if ((roll >> 16 & 0xffffU) == 0)
      walls[node] = static_cast<std::int64_t>(random.below(60'000'000)) - 30'000'000;
    if ((roll >> 32 & 15U) == 0) clocks[node].observe(last[1 - node]);
    const version v = clocks[node].issue(wall_at(walls[node]), node);
    falling += v <= last[node] ? 1 : 0;
    foreign += v.node() != node ? 1 : 0;
    last[node] = v;
  }
  REQUIRE(falling == 0);
  REQUIRE(foreign == 0);
}

TEST_CASE("what was learnt from a peer is exceeded, also by a clock that is far behind") {
  hybrid_clock ahead, behind;
  const version theirs = ahead.issue(wall_at(30'000'000), 1);
  REQUIRE(behind.issue(wall_at(-30'000'000), 0) < theirs);
  behind.observe(theirs);
  const version ours = behind.issue(wall_at(-29'000'000), 0);
  REQUIRE(ours > theirs);
  REQUIRE(ours.ticks() == theirs.ticks() + 1);
  // A restarted process that learns what the survivor has seen goes on above it.
  hybrid_clock restarted;
  restarted.observe(behind.last());
  REQUIRE(restarted.issue(wall_at(-60'000'000), 1) > ours);
}
