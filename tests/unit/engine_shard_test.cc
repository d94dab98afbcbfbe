#include <sys/resource.h>

#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "common/base/hash.h"
#include "common/engine/shard.h"
#include "tests/unit/catch.h"
#include "tests/unit/engine_noon.h"

using namespace tandem;
using namespace tandem::engine;
using namespace tandem::engine_test;

namespace {

store_status put(shard& s, std::string_view key, std::string_view value, item_meta meta,
                 instant now = noon) {
  return s.store(hash_key(key), key, meta, value, now);
}
store_status put(shard& s, std::string_view key, std::string_view value, std::uint64_t word) {
  return put(s, key, value, item_meta{.stored = version(word)});
}
store_status erase(shard& s, std::string_view key, std::uint64_t word) {
  return put(s, key, "", item_meta{.stored = version(word), .kind = item_kind::tombstone});
}
std::optional<item_view> get(shard& s, std::string_view key, instant now = noon) {
  return s.find(hash_key(key), key, now);
}
std::optional<item_view> look(const shard& s, std::string_view key) {
  return s.find_any(hash_key(key), key);
}
version floor_of(const shard& s, std::string_view key) {
  return s.floor(hash_key(key));
}

std::string value_of(const item_view& item) {
  std::string bytes;
  while (bytes.size() < item.value_size()) bytes += item.piece_at(bytes.size());
  return bytes;
}
std::size_t walk_all(const shard& s, unsigned budget) {
  std::size_t seen = 0;
  for (cursor c; !c.done;) s.walk(c, budget, [&](const item_view&) { ++seen; });
  return seen;
}

}  // namespace

TEST_CASE("an item comes back as it was stored") {
  shard s({});
  const item_meta meta{.stored = version(70),
                       .touched = version(80),
                       .flags = 0xdeadbeef,
                       .exptime = noon_seconds + 10,
                       .marks = mark::stale | mark::binary_key};
  REQUIRE(put(s, "k", "value", meta) == store_status::stored);
  const auto found = look(s, "k");
  REQUIRE(found);
  REQUIRE(found->key == "k");
  REQUIRE(found->value == "value");
  REQUIRE(found->meta == meta);
  REQUIRE(found->last_access == noon_seconds);
  REQUIRE_FALSE(found->fetched);
  REQUIRE_FALSE(get(s, "other"));
}

TEST_CASE("keys and values of every length come back") {
  shard s({});
  for (const std::size_t key_size : {1UL, 7UL, 8UL, 249UL, key_size_max}) {
    for (const std::size_t size : {0UL, 1UL, 100UL, large_value_min - 1, large_value_min,
                                   large_value_min + 1, 1'048'200UL}) {
      const std::string key(key_size, 'k'), value(size, static_cast<char>('a' + size % 26));
      REQUIRE(put(s, key, value, 1) == store_status::stored);
      const auto found = get(s, key);
      REQUIRE(found);
      REQUIRE(found->value_size() == size);
      REQUIRE((found->large != nullptr) == (size >= large_value_min));
      REQUIRE(value_of(*found) == value);
      REQUIRE(s.consistent());
    }
  }
}

TEST_CASE("item_size_max is judged as memcached judges -I") {
  shard s({.memory_bytes = 16 << 20});
  REQUIRE(s.fits(10, 1'048'300));
  REQUIRE_FALSE(s.fits(10, 1'048'576));
  REQUIRE_FALSE(s.fits(10, SIZE_MAX));
  REQUIRE_FALSE(s.fits(SIZE_MAX, 10));
  REQUIRE(put(s, "k", std::string(1'048'300, 'v'), 1) == store_status::stored);
  REQUIRE(put(s, "k", std::string(1'048'576, 'w'), 2) == store_status::too_large);
  REQUIRE(get(s, "k")->meta.stored == version(1));
  REQUIRE_FALSE(s.reserve_large(1'048'576, noon));
  REQUIRE(s.statistics().out_of_memory == 0);
  s.set_item_size_max(2 << 20);
  REQUIRE(put(s, "k", std::string(1'048'576, 'w'), 2) == store_status::stored);
}

TEST_CASE("an item expires at its second and raises the floor when met") {
  shard s({});
  REQUIRE(put(s, "k", "v", {.stored = version(50), .exptime = noon_seconds + 10}) ==
          store_status::stored);
  REQUIRE(get(s, "k", at(9)));
  REQUIRE(floor_of(s, "k") == version{});
  REQUIRE_FALSE(get(s, "k", at(10)));
  REQUIRE_FALSE(look(s, "k"));
  REQUIRE(floor_of(s, "k") >= version(50));
  REQUIRE(s.statistics().reclaimed == 1);
  REQUIRE(s.statistics().expired_unfetched == 0);
  REQUIRE(s.statistics().items == 0);
}

TEST_CASE("the floor of an expired item lets stores pass that its touch is newer than") {
  shard s({});
  REQUIRE(put(s, "k", "v", {.stored = version(50), .exptime = noon_seconds}) ==
          store_status::stored);
  REQUIRE(s.update_meta(hash_key("k"), "k",
                        {.stored = version(50), .touched = version(90), .exptime = noon_seconds}));
  REQUIRE_FALSE(get(s, "k"));
  REQUIRE(floor_of(s, "k") == version(50));
}

TEST_CASE("a flush hides what is not newer and never moves back") {
  shard s({});
  REQUIRE(put(s, "old", "v", 50) == store_status::stored);
  REQUIRE(put(s, "new", "v", 51) == store_status::stored);
  REQUIRE(erase(s, "gone", 40) == store_status::stored);
  s.flush(version(50));
  s.flush(version(10));
  REQUIRE(s.flushed() == version(50));
  REQUIRE(look(s, "old"));
  REQUIRE_FALSE(s.visible(look(s, "old")->meta, noon));
  REQUIRE_FALSE(get(s, "old"));
  REQUIRE_FALSE(look(s, "old"));
  REQUIRE(get(s, "new"));
  REQUIRE(look(s, "gone"));
  REQUIRE(s.statistics().reclaimed == 1);
}

TEST_CASE("a tombstone is seen by replication alone") {
  shard s({});
  REQUIRE(put(s, "k", "v", 1) == store_status::stored);
  REQUIRE(erase(s, "k", 2) == store_status::stored);
  REQUIRE_FALSE(get(s, "k"));
  const auto found = look(s, "k");
  REQUIRE(found);
  REQUIRE(found->meta.kind == item_kind::tombstone);
  REQUIRE(found->meta.stored == version(2));
  REQUIRE(s.statistics().items == 0);
  REQUIRE(s.statistics().tombstones == 1);
  REQUIRE(put(s, "k", "w", 3) == store_status::stored);
  REQUIRE(get(s, "k")->value == "w");
  REQUIRE(s.statistics().tombstones == 0);
  REQUIRE(s.consistent());
}

TEST_CASE("housekeeping reclaims the dead and the confirmed, in steps") {
  shard s({});
  for (std::uint64_t n = 1; n <= 300; ++n) {
    REQUIRE(put(s, "live" + key_of(n), "v", 1000 + n) == store_status::stored);
    REQUIRE(put(s, "dying" + key_of(n), "v",
                {.stored = version(1000 + n), .exptime = noon_seconds + 5}) ==
            store_status::stored);
    REQUIRE(put(s, "flushed" + key_of(n), "v", n) == store_status::stored);
    REQUIRE(erase(s, "gone" + key_of(n), 2000 + n) == store_status::stored);
  }
  s.flush(version(300));
  s.housekeep(1, at(5), version{});
  REQUIRE(s.statistics().items > 850);  // one step does little
  for (int n = 0; n < 100; ++n) s.housekeep(50, at(5), version(2200));
  REQUIRE(s.statistics().items == 300);
  REQUIRE(s.statistics().reclaimed == 600);
  REQUIRE(s.statistics().expired_unfetched == 300);
  REQUIRE(s.statistics().tombstones == 100);
  REQUIRE(s.statistics().tombstones_dropped == 0);
  for (std::uint64_t n = 1; n <= 300; ++n) {
    REQUIRE(look(s, "live" + key_of(n)));
    REQUIRE(floor_of(s, "dying" + key_of(n)) >= version(1000 + n));
    REQUIRE(look(s, "gone" + key_of(n)).has_value() == (n > 200));
  }
}

TEST_CASE("a confirmed tombstone behind an unconfirmed one is found too") {
  shard s({});
  REQUIRE(erase(s, "later", 900) == store_status::stored);
  REQUIRE(erase(s, "sooner", 500) == store_status::stored);
  for (int n = 0; n < 100; ++n) s.housekeep(20, noon, version(500));
  REQUIRE(look(s, "later"));
  REQUIRE_FALSE(look(s, "sooner"));
}

TEST_CASE("the oldest tombstones go first at the cap and raise their floors") {
  shard s({.memory_bytes = 1 << 20, .tombstone_percent = 5});
  std::uint64_t n = 0;
  while (s.statistics().tombstones_dropped == 0) {
    ++n;
    REQUIRE(erase(s, key_of(n), n) == store_status::stored);
  }
  REQUIRE(n > 300);
  REQUIRE_FALSE(look(s, key_of(1)));
  REQUIRE(look(s, key_of(2)));
  REQUIRE(floor_of(s, key_of(1)) >= version(1));
  REQUIRE(s.statistics().tombstone_bytes <= (1 << 20) / 20);
  // A tombstone that is renewed is no longer the oldest.
  REQUIRE(erase(s, key_of(2), n + 1) == store_status::stored);
  REQUIRE(erase(s, key_of(n + 1), n + 2) == store_status::stored);
  REQUIRE(look(s, key_of(2)));
  REQUIRE_FALSE(look(s, key_of(3)));
}

TEST_CASE("a full shard evicts what was not read, with a floor") {
  shard s({.memory_bytes = 1 << 20});
  const std::string value(500, 'v');
  REQUIRE(put(s, "read", value, 1) == store_status::stored);
  REQUIRE(put(s, "unread", value, 2) == store_status::stored);
  for (std::uint64_t n = 1; n <= 20'000; ++n) {
    REQUIRE(put(s, key_of(n), value, 10 + n) == store_status::stored);
    REQUIRE(s.used_bytes() <= s.limits().memory_bytes);
    if (n % 100 == 0) REQUIRE(get(s, "read"));
  }
  REQUIRE_FALSE(look(s, "unread"));
  REQUIRE(floor_of(s, "unread") >= version(2));
  const auto statistics = s.statistics();
  REQUIRE(statistics.evictions > 10'000);
  REQUIRE(statistics.evicted_unfetched == statistics.evictions);
  REQUIRE(statistics.items + statistics.evictions == 20'002);
  REQUIRE(statistics.total_items == 20'002);
  REQUIRE(s.used_bytes() > s.limits().memory_bytes * 96 / 100);
  for (std::uint64_t n = 1; n <= 20'000; ++n)
    REQUIRE((look(s, key_of(n)) || floor_of(s, key_of(n)) >= version(10 + n)));
  REQUIRE(s.consistent());
}

TEST_CASE("a full shard reclaims the expired it meets before it evicts the living") {
  shard s({.memory_bytes = 1 << 20});
  const std::string value(500, 'v');
  for (std::uint64_t n = 1; n <= 1000; ++n)
    REQUIRE(put(s, key_of(n), value, {.stored = version(n), .exptime = noon_seconds + 1}) ==
            store_status::stored);
  for (std::uint64_t n = 1001; n <= 2500; ++n)
    REQUIRE(put(s, key_of(n), value, {.stored = version(n)}, at(2)) == store_status::stored);
  REQUIRE(s.statistics().evictions == 0);
  REQUIRE(s.statistics().reclaimed > 500);
}

TEST_CASE("without eviction a full shard refuses, but not what needs no memory") {
  shard s({.memory_bytes = 1 << 20, .evict = false});
  const std::string value(500, 'v');
  std::uint64_t n = 1;
  while (put(s, key_of(n), value, n) == store_status::stored) ++n;
  REQUIRE(put(s, key_of(n), value, n) == store_status::out_of_memory);
  REQUIRE(s.statistics().out_of_memory == 2);
  REQUIRE(s.statistics().items == n - 1);
  REQUIRE(put(s, key_of(1), std::string(500, 'w'), n + 1) == store_status::stored);
  REQUIRE(s.update_meta(hash_key(key_of(2)), key_of(2),
                        {.stored = version(2), .touched = version(n + 2)}));
  REQUIRE(look(s, key_of(2))->meta.touched == version(n + 2));
  REQUIRE(put(s, key_of(4), std::string(5000, 'x'), n + 5) == store_status::out_of_memory);
  REQUIRE(get(s, key_of(4))->value == value);
  REQUIRE(s.statistics().evictions == 0);
}

TEST_CASE("without eviction a full shard still takes the place of the expired") {
  shard s({.memory_bytes = 1 << 20, .evict = false});
  const std::string value(500, 'v');
  for (std::uint64_t n = 1; n <= 2000; ++n)
    (void)put(s, key_of(n), value, {.stored = version(n), .exptime = noon_seconds + 1});
  REQUIRE(s.statistics().out_of_memory > 0);
  REQUIRE(put(s, "new", value, {.stored = version(3000)}, at(2)) == store_status::stored);
}

TEST_CASE("a shard of 1 MiB takes, evicts or refuses values of 1 MB") {
  shard s({.memory_bytes = 1 << 20});
  const std::string big(1'000'000, 'b'), bigger(1'048'300, 'c');
  REQUIRE(put(s, "small", "v", 1) == store_status::stored);
  for (std::uint64_t n = 2; n < 6; ++n) REQUIRE(put(s, key_of(n), big, n) == store_status::stored);
  REQUIRE(s.statistics().evictions == 4);
  REQUIRE(put(s, key_of(5), big, 7) == store_status::stored);  // over itself
  REQUIRE(put(s, key_of(6), bigger, 8) == store_status::too_large);
  REQUIRE(get(s, key_of(5)));
  const large_ref held = s.reserve_large(big.size(), noon);
  REQUIRE(held);
  REQUIRE(put(s, key_of(7), big, 9) == store_status::out_of_memory);
  REQUIRE(s.used_bytes() <= s.limits().memory_bytes);
  REQUIRE(s.consistent());
}

TEST_CASE("an item that is overwritten is not evicted for its own sake") {
  shard s({.memory_bytes = 1 << 20});
  std::uint64_t word = 0;
  for (const std::size_t size : {9000UL, 16'000UL, 10'000UL, 15'000UL}) {
    for (std::uint64_t n = 1; n <= 90; ++n) {
      ++word;
      REQUIRE(put(s, key_of(n), std::string(size, 'v'), word) == store_status::stored);
      REQUIRE(look(s, key_of(n))->meta.stored == version(word));
      REQUIRE(s.consistent());
    }
  }
  REQUIRE(s.statistics().evictions > 90);
}

TEST_CASE("an overwrite of the same size stays in its block") {
  shard s({});
  REQUIRE(put(s, "k", std::string(100, 'a'), 1) == store_status::stored);
  const char* before = look(s, "k")->key.data();
  const std::size_t used = s.statistics().item_bytes;
  REQUIRE(put(s, "k", std::string(99, 'b'), 2) == store_status::stored);
  REQUIRE(look(s, "k")->key.data() == before);
  REQUIRE(look(s, "k")->value == std::string(99, 'b'));
  REQUIRE(s.statistics().item_bytes == used - 4);  // a gap
  REQUIRE(put(s, "k", std::string(90, 'c'), 3) == store_status::stored);
  REQUIRE(look(s, "k")->key.data() == before);
  REQUIRE(put(s, "k", "short", 4) == store_status::stored);
  REQUIRE(look(s, "k")->key.data() != before);
  REQUIRE(s.statistics().item_bytes < used);
  REQUIRE(s.consistent());
}

TEST_CASE("only an access is noted as one") {
  shard s({});
  REQUIRE(put(s, "k", "v", 1) == store_status::stored);
  REQUIRE(s.find(hash_key("k"), "k", at(5), false));
  REQUIRE_FALSE(look(s, "k")->fetched);
  REQUIRE(look(s, "k")->last_access == noon_seconds);
  // The view tells of the accesses before this one.
  REQUIRE_FALSE(get(s, "k", at(6))->fetched);
  REQUIRE(look(s, "k")->fetched);
  REQUIRE(look(s, "k")->last_access == noon_seconds + 6);
  REQUIRE(put(s, "k", "v", 2) == store_status::stored);
  REQUIRE_FALSE(look(s, "k")->fetched);
}

TEST_CASE("a change of meta keeps the value and its access") {
  shard s({});
  for (const std::size_t size : {0UL, 5UL, 13UL, 100UL, 20'000UL}) {
    const std::string value(size, 'v');
    REQUIRE(put(s, "k", value, 1) == store_status::stored);
    REQUIRE(get(s, "k"));
    const item_meta meta{.stored = version(1),
                         .touched = version(9),
                         .flags = 7,
                         .exptime = noon_seconds + 9,
                         .marks = mark::all};
    REQUIRE(s.update_meta(hash_key("k"), "k", meta));
    const auto found = look(s, "k");
    REQUIRE(found->meta == meta);
    REQUIRE(found->value_size() == size);
    REQUIRE(value_of(*found) == value);
    REQUIRE(found->fetched);
    REQUIRE(s.consistent());
  }
  REQUIRE_FALSE(s.update_meta(hash_key("other"), "other", {}));
}

TEST_CASE("a drop leaves a floor and nothing else") {
  shard s({});
  REQUIRE(put(s, "k", "v", 50) == store_status::stored);
  REQUIRE(s.drop(hash_key("k"), "k", version(20)));
  REQUIRE_FALSE(look(s, "k"));
  REQUIRE(floor_of(s, "k") == version(50));
  REQUIRE_FALSE(s.drop(hash_key("k"), "k", version(70)));
  REQUIRE(floor_of(s, "k") == version(70));
  s.raise_floor(hash_key("k"), version(60));
  REQUIRE(floor_of(s, "k") == version(70));
}

TEST_CASE("a walk sees everything, whatever its budget") {
  shard s({});
  for (std::uint64_t n = 1; n <= 5000; ++n)
    REQUIRE((n % 3 ? put(s, key_of(n), "v", n) : erase(s, key_of(n), n)) == store_status::stored);
  for (const unsigned budget : {1U, 7U, 1000U, 1'000'000U}) REQUIRE(walk_all(s, budget) == 5000);
}

TEST_CASE("a walk goes in bounded steps, also over nothing") {
  shard s({});
  for (std::uint64_t n = 1; n <= 20'000; ++n)
    REQUIRE(put(s, key_of(n), "v", n) == store_status::stored);
  cursor c;
  std::size_t seen = 0;
  s.walk(c, 100, [&](const item_view&) { ++seen; });
  REQUIRE(seen > 20);
  REQUIRE(seen < 110);
  for (std::uint64_t n = 1; n <= 20'000; ++n) s.drop(hash_key(key_of(n)), key_of(n), version{});
  const std::uint64_t before = c.position;
  s.walk(c, 100, [&](const item_view&) { ++seen; });
  REQUIRE_FALSE(c.done);
  REQUIRE(c.position > before);
}

TEST_CASE("a walk sees what stays while the index grows and shrinks under it") {
  for (const bool growing : {true, false}) {
    shard s({});
    std::set<std::string> staying;
    for (std::uint64_t n = 1; n <= 2000; ++n) {
      staying.insert(key_of(n));
      REQUIRE(put(s, key_of(n), "v", n) == store_status::stored);
    }
    std::uint64_t others = 2000;
    const auto put_another = [&] {
      ++others;
      REQUIRE(put(s, key_of(others), "v", others) == store_status::stored);
    };
    for (std::uint64_t n = 0; !growing && n < 60'000; ++n) put_another();
    const auto index_before = s.statistics().index_bytes;
    for (cursor c; !c.done;) {
      s.walk(c, 50, [&](const item_view& item) { staying.erase(std::string(item.key)); });
      for (int n = 0; n < 700; ++n) {
        if (growing && others < 100'000) put_another();
        if (!growing && others > 2000) {
          s.drop(hash_key(key_of(others)), key_of(others), version{});
          --others;
        }
      }
      if (!growing) s.housekeep(3000, noon, version{});
    }
    REQUIRE(staying.empty());
    REQUIRE(s.consistent());
    if (growing) REQUIRE(s.statistics().index_bytes > 2 * index_before);
    if (!growing) REQUIRE(s.statistics().index_bytes < index_before / 2);
  }
}

TEST_CASE("a reset of the statistics keeps the gauges") {
  shard s({.memory_bytes = 1 << 20});
  for (std::uint64_t n = 1; n <= 5000; ++n)
    REQUIRE(put(s, key_of(n), std::string(500, 'v'), n) == store_status::stored);
  REQUIRE(erase(s, "gone", 6000) == store_status::stored);
  const auto before = s.statistics();
  s.reset_statistics();
  const auto after = s.statistics();
  REQUIRE(before.evictions > 0);
  REQUIRE(after.evictions == 0);
  REQUIRE(after.evicted_unfetched == 0);
  REQUIRE(after.total_items == 0);
  REQUIRE(after.items == before.items);
  REQUIRE(after.tombstones == 1);
  REQUIRE(after.item_bytes == before.item_bytes);
  REQUIRE(after.tombstone_bytes == before.tombstone_bytes);
  REQUIRE(after.index_bytes == before.index_bytes);
  REQUIRE(s.consistent());
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("when the kernel gives no memory stores are refused and nothing is lost") {
  shard s({.memory_bytes = std::size_t{1} << 40, .item_size_max = 1 << 30});
  REQUIRE(put(s, "k", "value", 1) == store_status::stored);
  const std::string key = "another", big(large_value_min - 1, 'b');
  std::uint64_t kilobytes = 0;
  std::ifstream facts("/proc/self/status");
  for (std::string word; facts >> word;)
    if (word == "VmData:") facts >> kilobytes;
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_DATA, &before) == 0);
  rlimit tight = before;
  tight.rlim_cur = (kilobytes << 10) + (8 << 20);

  // Nothing in here may allocate but the shard.
  REQUIRE(::setrlimit(RLIMIT_DATA, &tight) == 0);
  large_ref large = s.reserve_large(64 << 20, noon);
  while (large && large->granted() < large->size() && s.extend_large(*large, noon)) continue;
  const bool reserved = large && large->granted() == large->size();
  large.reset();
  store_status status = store_status::stored;
  std::uint64_t n = 1;
  char name[24];
  for (; status == store_status::stored && n < 100'000; ++n) {
    const int length = std::snprintf(name, sizeof name, "key%lu", static_cast<unsigned long>(n));
    status = put(s, {name, static_cast<std::size_t>(length)}, big, n);
  }
  (void)::setrlimit(RLIMIT_DATA, &before);

  REQUIRE_FALSE(reserved);
  REQUIRE(status == store_status::out_of_memory);
  REQUIRE(s.statistics().out_of_memory == 2);
  REQUIRE(s.statistics().evictions == 0);
  REQUIRE(get(s, "k")->value == "value");
  REQUIRE(s.statistics().items == n - 1);
  REQUIRE(s.consistent());
  REQUIRE(put(s, key, big, n) == store_status::stored);
}
#endif
