// Sampled latencies: which turns are measured, what they count for, and in which bucket.
#include <chrono>

#include "common/admin/latency.h"
#include "tests/unit/catch.h"

using namespace tandem;
using namespace std::chrono_literals;
using admin::latency_recorder;
using admin::turn_kind;

namespace {

struct bench {
  service::worker_statistics counters;
  latency_recorder recorder;
  int who = 0;

  admin::latency_totals totals() const {
    admin::latency_totals sum;
    recorder.add_to(sum);
    return sum;
  }
  std::uint64_t count(turn_kind kind) const {
    return totals().by_kind[static_cast<std::size_t>(kind)].count();
  }
};

}  // namespace

TEST_CASE("one turn in sample_every is measured") {
  bench b;
  unsigned measured = 0;
  for (unsigned i = 0; i < 10 * latency_recorder::sample_every; ++i)
    if (b.recorder.due()) {
      ++measured;
      b.recorder.begin(&b.who, b.counters, 0ns);
    }
  REQUIRE(measured == 10);
}

TEST_CASE("a turn counts for its only command, or is mixed") {
  bench b;
  const auto turn = [&](auto executes) {
    b.recorder.begin(&b.who, b.counters, 100ns);
    executes();
    b.recorder.end(b.counters, 200ns);
  };
  turn([&] { b.counters.cmd_get.add(5); });
  turn([&] { b.counters.cmd_set.add(); });
  turn([&] { b.counters.delete_misses.add(); });
  turn([&] { b.counters.incr_hits.add(); });
  turn([&] { b.counters.cmd_touch.add(); });
  turn([&] {
    b.counters.cmd_get.add();
    b.counters.cmd_set.add();
  });
  turn([] {});
  for (const turn_kind kind :
       {turn_kind::get, turn_kind::set, turn_kind::remove, turn_kind::arithmetic, turn_kind::touch,
        turn_kind::mixed, turn_kind::other}) {
    INFO(admin::to_string(kind));
    REQUIRE(b.count(kind) == 1);
  }
}

TEST_CASE("a bucket's bound is in it; what is above the last one is in the one more") {
  bench b;
  const auto take = [&](std::chrono::nanoseconds time) {
    b.recorder.begin(&b.who, b.counters, 5s);
    b.recorder.end(b.counters, 5s + time);
  };
  for (const auto time : {0ns, 1000ns, 1001ns, 2000ns, 1'000'000'000ns, 1'000'000'001ns})
    take(time);
  take(-1ns);  // a clock that misbehaves
  const auto h = b.totals().by_kind[static_cast<std::size_t>(turn_kind::other)];
  REQUIRE(h.buckets[0] == 3);
  REQUIRE(h.buckets[1] == 2);
  REQUIRE(h.buckets[admin::latency_bounds_us.size() - 1] == 1);
  REQUIRE(h.buckets.back() == 1);
  REQUIRE(h.nanoseconds == 2'000'004'002);
}

TEST_CASE("a turn that had to wait for the client is no sample") {
  bench b;
  int other = 0;
  b.recorder.begin(&b.who, b.counters, 0ns);
  REQUIRE(b.recorder.measures(&b.who));
  REQUIRE_FALSE(b.recorder.measures(&other));
  b.recorder.drop();
  REQUIRE_FALSE(b.recorder.measures(&b.who));
  REQUIRE(b.count(turn_kind::other) == 0);
}
