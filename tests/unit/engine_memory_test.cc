// How the shard spends its memory: eviction by S3-FIFO, compaction, expiry by segments, growth.
#include <string>
#include <vector>

#include "common/base/hash.h"
#include "common/base/prng.h"
#include "common/engine/shard.h"
#include "tests/unit/catch.h"
#include "tests/unit/engine_noon.h"

using namespace tandem;
using namespace tandem::engine;
using namespace tandem::engine_test;

namespace {

store_status keep(shard& s, std::string_view key, std::string_view value, std::uint64_t word,
                  std::uint32_t exptime = 0, instant now = noon) {
  return s.store(hash_key(key), key, {.stored = version(word), .exptime = exptime}, value, now);
}
bool hit(shard& s, std::string_view key, instant now = noon) {
  return s.find(hash_key(key), key, now).has_value();
}

}  // namespace

TEST_CASE("a scan of keys that come once does not push out those that are read") {
  shard s({.memory_bytes = 4 << 20});
  const std::string value(200, 'v');
  for (std::uint64_t n = 0; n < 5000; ++n) {
    REQUIRE(keep(s, key_of(n), value, n + 1) == store_status::stored);
    REQUIRE(hit(s, key_of(n)));
  }
  for (std::uint64_t n = 0; n < 60'000; ++n)
    REQUIRE(keep(s, "once" + key_of(n), value, 10'000 + n) == store_status::stored);
  std::size_t left = 0;
  for (std::uint64_t n = 0; n < 5000; ++n) left += hit(s, key_of(n));
  REQUIRE(left > 4900);
  REQUIRE(s.statistics().evictions > 40'000);
  REQUIRE(s.consistent());
}

TEST_CASE("a key that comes back soon after it was evicted stays longer") {
  shard s({.memory_bytes = 4 << 20});
  const std::string value(200, 'v');
  std::uint64_t word = 1;
  for (; word <= 20'000; ++word)
    REQUIRE(keep(s, key_of(word), value, word) == store_status::stored);
  std::uint64_t gone = 1;  // the first keys were evicted; the last of them not long ago
  while (!s.find_any(hash_key(key_of(gone)), key_of(gone))) ++gone;
  REQUIRE(gone > 1000);
  const std::uint64_t before = s.statistics().ghost_hits;
  for (std::uint64_t n = gone - 500; n < gone; ++n)
    REQUIRE(keep(s, key_of(n), value, word++) == store_status::stored);
  REQUIRE(s.statistics().ghost_hits > before + 200);
  for (std::uint64_t n = 0; n < 15'000; ++n)
    REQUIRE(keep(s, "once" + key_of(n), value, word++) == store_status::stored);
  std::size_t left = 0;
  for (std::uint64_t n = gone - 500; n < gone; ++n) left += hit(s, key_of(n));
  REQUIRE(left > 200);
}

TEST_CASE("what is overwritten with other sizes is compacted before anything is evicted") {
  shard s({.memory_bytes = 4 << 20});
  prng random(1);
  std::uint64_t word = 0;
  for (int n = 0; n < 100'000; ++n) {
    const std::string value(100 + random.next() % 400, 'v');
    ++word;
    REQUIRE(keep(s, key_of(random.next() % 10'000), value, word) == store_status::stored);
    REQUIRE(s.used_bytes() <= s.limits().memory_bytes);
  }
  const auto t = s.statistics();
  REQUIRE(t.compacted_bytes > 0);
  REQUIRE(t.evictions == 0);
  REQUIRE(t.items == 10'000);
  REQUIRE(s.consistent());
}

TEST_CASE("bands of sizes share the memory whatever they are filled with") {
  shard s({.memory_bytes = 8 << 20, .item_size_max = 1 << 20});
  std::uint64_t word = 0;
  const auto fill = [&](std::size_t size, int count) {
    for (int n = 0; n < count; ++n) {
      ++word;
      REQUIRE(keep(s, key_of(word), std::string(size, 'v'), word) == store_status::stored);
      REQUIRE(s.used_bytes() <= s.limits().memory_bytes);
    }
  };
  for (const std::size_t size : {100UL, 100'000UL, 2000UL, 10'000UL, 500'000UL, 100UL}) {
    fill(size, static_cast<int>((std::size_t{16} << 20) / (size + 40)));
    const auto t = s.statistics();
    REQUIRE(t.item_bytes > s.limits().memory_bytes * 8 / 10);
    REQUIRE(s.consistent());
  }
}

TEST_CASE("expired memory is found by segment, without a look at what lives") {
  shard s({.memory_bytes = 16 << 20});
  const std::string value(200, 'v');
  std::uint64_t word = 0;
  for (std::uint64_t n = 0; n < 20'000; ++n)
    REQUIRE(keep(s, "live" + key_of(n), value, ++word) == store_status::stored);
  for (std::uint64_t n = 0; n < 20'000; ++n)
    REQUIRE(keep(s, key_of(n), value, ++word, noon_seconds + 100 + n % 50) == store_status::stored);
  for (std::uint64_t n = 0; n < 20'000; ++n)
    REQUIRE(keep(s, "later" + key_of(n), value, ++word) == store_status::stored);
  REQUIRE_FALSE(s.housekeep(100, at(90), version{}));  // nothing is due
  REQUIRE(s.statistics().items == 60'000);
  unsigned looks = 0;
  while (s.housekeep(100, at(151), version{})) ++looks;
  REQUIRE(s.statistics().items == 40'000);
  REQUIRE(s.statistics().expired_unfetched == 20'000);
  REQUIRE(looks < 20'000 / 100 + 40);
  REQUIRE(s.consistent());
}

TEST_CASE("an expiry brought forward is noticed in a closed segment") {
  shard s({.memory_bytes = 16 << 20});
  const std::string value(200, 'v');
  for (std::uint64_t n = 1; n <= 20'000; ++n)
    REQUIRE(keep(s, key_of(n), value, n) == store_status::stored);
  for (std::uint64_t n = 1; n <= 10'000; ++n)
    REQUIRE(s.update_meta(
        hash_key(key_of(n)), key_of(n),
        {.stored = version(n), .touched = version(100'000 + n), .exptime = noon_seconds + 5}));
  while (s.housekeep(1000, at(10), version{})) continue;
  REQUIRE(s.statistics().items < 10'800);
  REQUIRE(s.consistent());
}

TEST_CASE("a flush gives its memory back by housekeeping alone") {
  shard s({.memory_bytes = 16 << 20});
  for (std::uint64_t n = 1; n <= 20'000; ++n)
    REQUIRE(keep(s, key_of(n), std::string(n % 100 == 0 ? 20'000 : 200, 'v'), n) ==
            store_status::stored);
  s.flush(version(20'000));
  while (s.housekeep(1000, noon, version{})) continue;
  const auto t = s.statistics();
  REQUIRE(t.items == 0);
  REQUIRE(t.reclaimed == 20'000);
  REQUIRE(t.evictions == 0);
  REQUIRE(s.consistent());
}

TEST_CASE("a large value takes memory as its bytes come") {
  shard s({.memory_bytes = 8 << 20, .item_size_max = 4 << 20});
  for (std::uint64_t n = 1; n <= 60'000; ++n)
    REQUIRE(keep(s, key_of(n), std::string(100, 'v'), n) == store_status::stored);
  const std::uint64_t before = s.statistics().items;
  const large_ref value = s.reserve_large(3 << 20, noon);
  REQUIRE(value);
  REQUIRE(value->granted() == shard::large_step);
  REQUIRE(s.statistics().items > before - 2000);
  while (value->granted() < value->size()) {
    const std::uint64_t items = s.statistics().items;
    REQUIRE(s.extend_large(*value, noon));
    REQUIRE(s.statistics().items > items - 2000);  // a bounded step
    REQUIRE(s.used_bytes() <= s.limits().memory_bytes);
  }
  REQUIRE(s.store(hash_key("big"), "big", item_meta{.stored = version(100'000)}, value, noon) ==
          store_status::stored);
  REQUIRE(s.find(hash_key("big"), "big", noon)->value_size() == 3 << 20);
  REQUIRE(s.consistent());
}

TEST_CASE("a raised limit is used") {
  shard s({.memory_bytes = 4 << 20});
  std::uint64_t word = 0;
  const auto fill = [&] {
    for (int n = 0; n < 100'000; ++n) {
      ++word;
      REQUIRE(keep(s, key_of(word), std::string(100, 'v'), word) == store_status::stored);
    }
    return s.statistics().items;
  };
  const std::uint64_t before = fill();
  REQUIRE(s.set_limit(8 << 20, noon));
  REQUIRE(fill() > before * 19 / 10);
  REQUIRE(s.used_bytes() <= 8 << 20);
}

TEST_CASE("an overwrite under a sweep for the expired does not put it out of step") {
  shard s({.memory_bytes = 4 << 20});
  const std::uint32_t soon = unix_seconds(noon.wall) + 10;
  REQUIRE(keep(s, "first", std::string(100, 'a'), 1) == store_status::stored);
  for (std::uint64_t n = 2; n < 50; ++n)
    REQUIRE(keep(s, key_of(n), std::string(100, 'e'), n, soon) == store_status::stored);
  REQUIRE(keep(s, "first", std::string(60, 'b'), 100) == store_status::stored);
  // Its segment is due; a step of one record ends behind the first, at the gap that it left.
  const instant later{noon.wall + std::chrono::seconds(20), {}};
  REQUIRE(s.housekeep(1, later, {}));
  REQUIRE(s.statistics().reclaimed == 0);
  REQUIRE(keep(s, "first", std::string(100, 'c'), 101, 0, later) == store_status::stored);
  while (s.housekeep(1, later, {})) continue;
  REQUIRE(s.statistics().reclaimed == 48);
  REQUIRE(hit(s, "first", later));
  REQUIRE(s.consistent());
}

TEST_CASE("a lowered limit is come to in steps, and the shard goes on in it") {
  shard s({.memory_bytes = 16 << 20});
  for (std::uint64_t n = 1; n <= 100'000; ++n)
    REQUIRE(keep(s, key_of(n), std::string(50, 'v'), n) == store_status::stored);
  unsigned steps = 1;
  while (!s.set_limit(1 << 20, noon)) {
    REQUIRE(s.used_bytes() <= s.limits().memory_bytes);
    REQUIRE(++steps < 1000);
  }
  REQUIRE(steps > 20);
  REQUIRE(s.used_bytes() <= 1 << 20);
  REQUIRE(s.statistics().items > 500);
  REQUIRE(s.consistent());
  for (std::uint64_t n = 1; n <= 10'000; ++n)
    REQUIRE(keep(s, key_of(n), std::string(50, 'v'), 300'000 + n) == store_status::stored);
  REQUIRE(s.statistics().items > 4000);
}

TEST_CASE("the owner's bytes count against the limit") {
  shard s({.memory_bytes = 1 << 20});
  for (std::uint64_t n = 1; n <= 5000; ++n)
    REQUIRE(keep(s, key_of(n), std::string(200, 'v'), n) == store_status::stored);
  const auto before = s.statistics().items;
  s.set_extra_bytes(512 << 10, noon);
  REQUIRE(s.used_bytes() <= 1 << 20);
  REQUIRE(s.statistics().items < before * 2 / 3);
  REQUIRE(s.statistics().items > before / 3);
}
