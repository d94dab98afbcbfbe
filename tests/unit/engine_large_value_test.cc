#include <string>
#include <thread>
#include <vector>

#include "common/base/hash.h"
#include "common/engine/shard.h"
#include "tests/unit/catch.h"

using namespace tandem;
using namespace tandem::engine;

namespace {

constexpr instant noon{wall_time(std::chrono::seconds(1'800'000'000)), {}};

std::string content(const large_value& value) {
  std::string bytes;
  while (bytes.size() < value.size()) bytes += value.extent_at(bytes.size());
  return bytes;
}

store_status put(shard& s, std::string_view key, large_ref value, std::uint64_t word) {
  return s.store(hash_key(key), key, item_meta{.stored = version(word)}, std::move(value), noon);
}

}  // namespace

TEST_CASE("a large value holds what was written at any offset and in any order") {
  large_charge_ref charge(new large_charge);
  const large_ref value = large_value::make(100'000, charge);
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
}

TEST_CASE("a large value is charged from its making to its last release") {
  large_charge_ref charge(new large_charge);
  large_ref first = large_value::make(20'000, charge);
  REQUIRE(charge->bytes() == large_value::footprint(20'000));
  REQUIRE(large_value::footprint(20'000) >= 20'000 + sizeof(large_value));
  REQUIRE_FALSE(first->shared());
  large_ref second = first;
  REQUIRE(first->shared());
  first.reset();
  REQUIRE(charge->bytes() == large_value::footprint(20'000));
  second.reset();
  REQUIRE(charge->bytes() == 0);
}

TEST_CASE("a large value that cannot be allocated charges nothing") {
  large_charge_ref charge(new large_charge);
  REQUIRE_THROWS_AS(large_value::make(SIZE_MAX, charge), std::bad_alloc);
  REQUIRE_THROWS_AS(large_value::make(SIZE_MAX - 1024, charge), std::bad_alloc);
  REQUIRE(charge->bytes() == 0);
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
  large_ref pin = s->reserve_large(bytes.size(), noon);
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
  REQUIRE(content(*pin) == bytes);
  large_ref last = pin;
  pin.reset();
  last.reset();
  REQUIRE(s->statistics().large_bytes == 0);
  REQUIRE(s->used_bytes() == used - footprint);

  pin = s->reserve_large(bytes.size(), noon);
  pin->write(0, bytes);
  REQUIRE(put(*s, "k", pin, 3) == store_status::stored);
  s.reset();
  REQUIRE(content(*pin) == bytes);
}

TEST_CASE("what readers hold stays inside the limit") {
  shard s({.memory_bytes = 1 << 20});
  std::vector<large_ref> pins;
  std::uint64_t word = 0;
  for (;;) {
    large_ref value = s.reserve_large(100'000, noon);
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
  REQUIRE(s.reserve_large(100'000, noon));
  REQUIRE(s.consistent());
}

TEST_CASE("when readers hold too much nothing is evicted in vain") {
  shard s({.memory_bytes = 1 << 20});
  std::vector<large_ref> reserved;
  for (int n = 0; n < 9; ++n) reserved.push_back(s.reserve_large(100'000, noon));
  const item_meta meta{.stored = version(1)};
  REQUIRE(s.store(hash_key("small"), "small", meta, "value", noon) == store_status::stored);
  REQUIRE_FALSE(s.reserve_large(200'000, noon));
  REQUIRE(s.statistics().evictions == 0);
  REQUIRE(s.find(hash_key("small"), "small", noon));
}

TEST_CASE("references are released by other threads while the shard goes on") {
  shard s({.memory_bytes = 4 << 20});
  std::vector<large_ref> shared;
  for (std::uint64_t n = 1; n <= 40; ++n) {
    large_ref value = s.reserve_large(50'000, noon);
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
