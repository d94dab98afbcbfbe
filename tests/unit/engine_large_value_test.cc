#include <string>
#include <thread>
#include <vector>

#include "common/base/hash.h"
#include "common/engine/shard.h"
#include "tests/unit/catch.h"
#include "tests/unit/engine_noon.h"

using namespace tandem;
using namespace tandem::engine;
using namespace tandem::engine_test;

namespace {

std::string content(const large_value& value) {
  std::string bytes;
  while (bytes.size() < value.size()) bytes += value.extent_at(bytes.size());
  return bytes;
}

large_ref reserve(shard& s, std::size_t size) {
  large_ref value = s.reserve_large(size, noon);
  while (value && value->granted() < size)
    if (!s.extend_large(*value, noon)) return nullptr;
  return value;
}
store_status put(shard& s, std::string_view key, large_ref value, std::uint64_t word) {
  return s.store(hash_key(key), key, item_meta{.stored = version(word)}, std::move(value), noon);
}

}  // namespace

TEST_CASE("a large value holds what was written at any offset and in any order") {
  page_pool_ref pool(new page_pool(64 << 20));
  const large_ref value = large_value::make(100'000, pool);
  value->grant(100'000);
  REQUIRE(value->granted() == 100'000);
  std::string expected(100'000, ' ');
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<char>(i * 7 % 251);
  for (std::size_t offset = 90'000;; offset -= 10'000) {
    value->write(offset, std::string_view(expected).substr(offset, 10'000));
    if (offset == 0) break;
  }
  REQUIRE(content(*value) == expected);
  REQUIRE(value->extent_at(99'999) == expected.substr(99'999));
  value->writable_at(5)[0] = 'X';
  REQUIRE(value->extent_at(5).front() == 'X');
  value->write(100'000, "");
  REQUIRE(value->tail() == expected.substr(98'304));
  value->trim();
  REQUIRE(value->size() == 98'304);
  REQUIRE(value->tail().empty());
}

TEST_CASE("a large value takes memory as it is granted, and until its last release") {
  page_pool_ref pool(new page_pool(64 << 20));
  large_ref first = large_value::make(20'000, pool);
  REQUIRE(pool->used_bytes() < 100);
  REQUIRE(first->granted() == 0);
  REQUIRE(first->growth(1) == 4096);
  first->grant(4097);
  REQUIRE(first->granted() == 8192);
  REQUIRE(first->growth(8192) == 0);
  first->grant(20'000);
  REQUIRE(first->granted() == 20'000);
  REQUIRE(pool->used_bytes() == large_value::footprint(20'000));
  REQUIRE(large_value::footprint(20'000) >= 16'384 + sizeof(large_value));
  REQUIRE_FALSE(first->shared());
  large_ref second = first;
  REQUIRE(first->shared());
  first.reset();
  REQUIRE(pool->used_bytes() == large_value::footprint(20'000));
  second.reset();
  REQUIRE(pool->used_bytes() == 0);
}

TEST_CASE("pages that were let go keep their memory for values of other sizes until trimmed") {
  page_pool_ref pool(new page_pool(64 << 20));
  std::vector<large_ref> held;
  for (int n = 0; n < 10; ++n) {
    held.push_back(large_value::make(4 * page_bytes, pool));
    held.back()->grant(4 * page_bytes);
  }
  for (std::size_t n = 0; n < held.size(); n += 2) held[n].reset();
  REQUIRE(pool->warm_bytes() == 20 * page_bytes);
  // Made of what the others left.
  const large_ref value = large_value::make(18 * page_bytes + 5, pool);
  REQUIRE(value->grant(value->size()));
  REQUIRE(pool->warm_bytes() == 2 * page_bytes);
  std::string expected(value->size(), ' ');
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<char>(i / 7 % 251);
  value->write(0, expected);
  REQUIRE(content(*value) == expected);
  REQUIRE(value->extent_at(0).size() == 4 * page_bytes);
  REQUIRE(pool->trim(1) == page_bytes);
  REQUIRE(pool->trim(SIZE_MAX) == page_bytes);
  REQUIRE(pool->trim(1) == 0);
  REQUIRE(pool->warm_bytes() == 0);
  held.clear();
  REQUIRE(pool->warm_bytes() == 20 * page_bytes);
  REQUIRE(content(*value) == expected);
}

TEST_CASE("large values of every size hold what was put there") {
  page_pool_ref pool(new page_pool(64 << 20));
  std::vector<std::pair<large_ref, char>> held;
  for (std::size_t pages = 1; pages < 300; pages += pages < 20 ? 1 : 7) {
    large_ref value = large_value::make(pages * page_bytes, pool);
    value->grant(value->size());
    const char fill = static_cast<char>(pages);
    value->write(0, std::string(value->size(), fill));
    held.emplace_back(std::move(value), fill);
  }
  for (const auto& [value, fill] : held)
    REQUIRE(content(*value) == std::string(value->size(), fill));
}

TEST_CASE("a large value that cannot be allocated charges nothing") {
  page_pool_ref pool(new page_pool(64 << 20));
  REQUIRE_THROWS_AS(large_value::make(SIZE_MAX, pool), std::bad_alloc);
  REQUIRE_THROWS_AS(large_value::make(large_value_max + 1, pool), std::bad_alloc);
  REQUIRE(pool->used_bytes() == 0);
}

TEST_CASE("an empty large value has no bytes and can be stored") {
  shard s({});
  large_ref value = s.reserve_large(0, noon);
  REQUIRE(value);
  REQUIRE(put(s, "k", value, 1) == store_status::stored);
  REQUIRE(s.find(hash_key("k"), "k", noon)->value_size() == 0);
}

TEST_CASE("a pinned large value outlives an overwrite, a delete and the shard") {
  auto s = std::make_unique<shard>(shard_limits{});
  const std::string bytes(50'000, 'v');
  large_ref pin = reserve(*s, bytes.size());
  pin->write(0, bytes);
  REQUIRE(put(*s, "k", pin, 1) == store_status::stored);
  const std::size_t footprint = large_value::footprint(bytes.size());

  SECTION("overwritten") {
    const item_meta meta{.stored = version(2)};
    REQUIRE(s->store(hash_key("k"), "k", meta, "small", noon) == store_status::stored);
    REQUIRE(s->find(hash_key("k"), "k", noon)->value == "small");
  }
  SECTION("deleted") {
    const item_meta meta{.stored = version(2), .kind = item_kind::tombstone};
    REQUIRE(s->store(hash_key("k"), "k", meta, std::string_view(), noon) == store_status::stored);
  }
  SECTION("dropped") {
    REQUIRE(s->drop(hash_key("k"), "k", version{}));
  }
  REQUIRE(s->statistics().large_bytes == footprint);
  const std::size_t used = s->used_bytes();
  const std::string body = bytes.substr(0, bytes.size() / page_bytes * page_bytes);
  REQUIRE(content(*pin) == body);
  large_ref last = pin;
  pin.reset();
  last.reset();
  REQUIRE(s->statistics().large_bytes == 0);
  REQUIRE(s->used_bytes() == used - footprint + s->statistics().warm_bytes);

  pin = reserve(*s, bytes.size());
  pin->write(0, bytes);
  REQUIRE(put(*s, "k", pin, 3) == store_status::stored);
  s.reset();
  REQUIRE(content(*pin) == body);
}

TEST_CASE("what readers hold stays inside the limit") {
  shard s({.memory_bytes = 1 << 20});
  std::vector<large_ref> pins;
  std::uint64_t word = 0;
  for (;;) {
    large_ref value = reserve(s, 100'000);
    REQUIRE(s.used_bytes() <= s.limits().memory_bytes);
    if (!value) break;
    ++word;
    REQUIRE(put(s, "key" + std::to_string(word), value, word) == store_status::stored);
    pins.push_back(std::move(value));
    REQUIRE(pins.size() < 11);
  }
  REQUIRE(pins.size() > 7);
  REQUIRE(s.statistics().out_of_memory == 1);
  pins.pop_back();  // its item can now be evicted
  REQUIRE(reserve(s, 100'000));
  REQUIRE(s.consistent());
}

TEST_CASE("when readers hold too much nothing is evicted in vain") {
  shard s({.memory_bytes = 1 << 20});
  std::vector<large_ref> reserved;
  for (int n = 0; n < 10; ++n) reserved.push_back(reserve(s, 98'304));
  reserved.push_back(reserve(s, 8192));
  const item_meta meta{.stored = version(1)};
  REQUIRE(s.store(hash_key("small"), "small", meta, "value", noon) == store_status::stored);
  REQUIRE_FALSE(reserve(s, 200'000));
  REQUIRE(s.statistics().evictions == 0);
  REQUIRE(s.find(hash_key("small"), "small", noon));
}

TEST_CASE("references are released by other threads while the shard goes on") {
  shard s({.memory_bytes = 4 << 20});
  std::vector<large_ref> shared;
  for (std::uint64_t n = 1; n <= 40; ++n) {
    large_ref value = reserve(s, 50'000);
    REQUIRE(value);
    value->write(0, std::string(50'000, 'x'));
    shared.push_back(value);
    REQUIRE(put(s, "key" + std::to_string(n), std::move(value), n) == store_status::stored);
  }
  std::thread reader([mine = std::move(shared)]() mutable {
    while (!mine.empty()) mine.pop_back();
  });
  for (std::uint64_t n = 1; n <= 40; ++n)
    s.drop(hash_key("key" + std::to_string(n)), "key" + std::to_string(n), version{});
  reader.join();
  REQUIRE(s.statistics().large_bytes == 0);
  REQUIRE(s.consistent());
}
