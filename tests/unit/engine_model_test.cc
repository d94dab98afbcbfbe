#include "tests/unit/engine_model.h"
#include "common/base/prng.h"
#include "tests/unit/catch.h"

namespace {

using tandem::prng;
using tandem::engine::engine_model;
using tandem::engine::model_options;

// Runs a model and returns the shard's statistics at the end.
tandem::engine::shard_statistics run(const model_options& options, std::uint64_t seed,
                                     unsigned steps) {
  prng random(seed);
  engine_model model(options, [&random] { return random.next(); });
  for (unsigned n = 0; n < steps; ++n) {
    const bool right = model.step() && (n % 500 != 0 || model.check_all());
    INFO("seed " << seed << " step " << n << ": " << model.complaint());
    REQUIRE(right);
  }
  const bool right = model.check_all();
  INFO("seed " << seed << " at the end: " << model.complaint());
  REQUIRE(right);
  REQUIRE(model.walks_finished() > 0);
  return model.tested().statistics();
}

}  // namespace

TEST_CASE("a shard with room for everything behaves like a map") {
  for (std::uint64_t seed = 1; seed <= (sanitized ? 1 : 4); ++seed) {
    const auto s = run({.limits = {.memory_bytes = std::size_t{1} << 30,
                                   .item_size_max = 280 * 1024,
                                   .tombstone_percent = 100},
                        .keys = 3000,
                        .never_full = true},
                       seed, 20000);
    REQUIRE(s.evictions == 0);
    REQUIRE(s.out_of_memory == 0);
    REQUIRE(s.tombstones_dropped == 0);
    REQUIRE(s.reclaimed > 0);
  }
}

TEST_CASE("a full shard gives the last value or a miss with a floor") {
  for (std::uint64_t seed = 1; seed <= (sanitized ? 2 : 6); ++seed) {
    const auto s =
        run({.limits = {.memory_bytes = 1 << 20, .item_size_max = 280 * 1024}, .keys = 5000}, seed,
            20000);
    REQUIRE(s.evictions > 100);
  }
}

TEST_CASE("a full shard of small items gives the last value or a miss with a floor") {
  const auto s = run({.limits = {.memory_bytes = 1 << 20, .tombstone_percent = 1},
                      .keys = 30000,
                      .value_max = 17 * 1024},
                     1, 60000);
  REQUIRE(s.evictions > 100);
  REQUIRE(s.tombstones_dropped > 0);
}

TEST_CASE("a full shard that may not evict refuses and loses nothing") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    const auto s =
        run({.limits = {.memory_bytes = 1 << 20, .item_size_max = 280 * 1024, .evict = false},
             .keys = 5000},
            seed, 15000);
    REQUIRE(s.evictions == 0);
    REQUIRE(s.out_of_memory > 100);
  }
}
