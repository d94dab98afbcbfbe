// The store under threads, against plain maps: every thread has keys of its own, whose last value
// it knows, and all write the keys they share, whose values say themselves what they are. Beside
// them others do housekeeping, walk, read and confirm journals, look ahead without locks and move
// the limit. What goes wrong is counted and reported at the end (Catch is for one thread).
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/prng.h"
#include "common/service/store.h"
#include "tests/unit/catch.h"

using namespace tandem;
using namespace tandem::service;

namespace {

constexpr unsigned writers = 3;
constexpr int changes = 6000;
constexpr std::size_t large_min = 16 << 10;

// A value that only the key and its own first characters determine.
std::string value_for(const std::string& key, std::uint64_t number, std::size_t size) {
  std::string value = key + '#' + std::to_string(number) + ';';
  prng filler(hash_key(value));
  while (value.size() < size) value += static_cast<char>('a' + filler.below(26));
  return value;
}

bool belongs(const std::string& key, const std::string& value) {
  const std::size_t mark = value.find('#'), end = value.find(';');
  if (mark == std::string::npos || end == std::string::npos || value.substr(0, mark) != key)
    return false;
  return value == value_for(key, std::stoull(value.substr(mark + 1, end - mark - 1)), value.size());
}

struct shared_state {
  explicit shared_state(const store_options& options) : data(options) {
    data.set_node_id(1, now());
    for (std::size_t n = 0; n < data.shard_count(); ++n) data.start_journal(n);
  }
  // Time passes with every call.
  instant now() {
    const std::chrono::microseconds us(ticks.fetch_add(1, std::memory_order_relaxed));
    return {wall_time(std::chrono::seconds(1'800'000'000) + us), steady_time(us)};
  }
  void check(bool right) { wrong.fetch_add(right ? 0 : 1, std::memory_order_relaxed); }

  store data;
  std::atomic<std::int64_t> ticks{1};
  std::atomic<unsigned> wrong{0}, refused{0}, hits{0};
  std::atomic<bool> done{false};
};

// The value copied under the lock if it is small, from its place afterwards if it is large.
std::optional<std::string> read(shared_state& s, const std::string& key) {
  const hashed_key k(key);
  engine::large_ref pinned;
  std::string small;
  {
    auto locked = s.data.lock(k, s.now());
    const auto item = locked.find(k);
    if (!item) return std::nullopt;
    small.assign(item->value);
    pinned.reset(const_cast<engine::large_value*>(item->large));
  }
  std::string value;
  const std::size_t size = (pinned ? pinned->size() : 0) + small.size();
  while (value.size() < size) value += engine::piece_of(pinned.get(), small, value.size());
  return value;
}

bool write(shared_state& s, const std::string& key, const std::string& value) {
  const hashed_key k(key);
  if (value.size() < large_min)
    return s.data.lock(k, s.now()).put(k, 0, 0, value).status == engine::store_status::stored;
  engine::large_ref place = s.data.lock(k, s.now()).reserve(k, value.size());
  for (std::size_t filled = 0; place && filled < value.size();) {
    if (filled == place->granted() && !s.data.lock(k, s.now()).extend(*place)) return false;
    const std::size_t bytes = std::min(place->granted(), value.size()) - filled;
    place->write(filled, std::string_view(value).substr(filled, bytes));
    filled += bytes;
  }
  return place && s.data.lock(k, s.now()).put(k, 0, 0, std::move(place)).status ==
                      engine::store_status::stored;
}

// Returns what it left under its own keys; an empty value: deleted.
std::map<std::string, std::string> run_writer(shared_state& s, unsigned id, bool may_lose) {
  prng random(77 + id);
  std::map<std::string, std::string> mine;
  for (int n = 0; n < changes; ++n) {
    const bool own = random.below(2) == 0;
    std::string key("k");
    key += own ? std::to_string(id) : std::string("x");
    key += '-';
    key += std::to_string(random.below(200));
    const std::uint64_t dice = random.below(100);
    if (dice < 45) {
      const std::size_t size = dice < 2    ? large_min + random.below(100'000)
                               : dice < 10 ? random.below(large_min)
                                           : random.below(600);
      const std::string value =
          value_for(key, std::uint64_t{id} << 32 | static_cast<std::uint64_t>(n), size);
      if (write(s, key, value)) {
        if (own) mine[key] = value;
      } else {
        s.refused.fetch_add(1, std::memory_order_relaxed);
        s.check(may_lose);
      }
    } else if (dice < 50) {
      const hashed_key k(key);
      s.data.lock(k, s.now()).remove(k);
      if (own) mine[key].clear();
    } else if (dice < 55) {
      const hashed_key k(key);
      (void)s.data.lock(k, s.now()).touch(k, 1'900'000'000);
    } else {
      const hashed_key k(key);
      s.data.prefetch_index(k.hash);
      s.data.prefetch_item(k.hash);
      const auto found = read(s, key);
      s.hits.fetch_add(found ? 1 : 0, std::memory_order_relaxed);
      if (found) s.check(belongs(key, *found));
      if (!own) continue;
      const auto last = mine.find(key);
      const bool there = last != mine.end() && !last->second.empty();
      if (found) s.check(there && *found == last->second);
      if (!found) s.check(!there || may_lose);
    }
  }
  return mine;
}

void run_upkeep(shared_state& s, bool may_lose) {
  prng random(5);
  unsigned flushes = 0;
  while (!s.done.load()) {
    s.data.housekeep(s.now());
    s.check(s.data.statistics().items < 10'000);
    for (std::size_t n = 0; n < s.data.shard_count(); ++n) {
      engine::cursor at;
      while (!at.done)
        s.data.scan(n, at, 16, {}, s.now(), [&](const replication::record& r) {
          s.check(r.key.starts_with('k'));
          return true;
        });
    }
    if (!may_lose) continue;
    (void)s.data.set_memory_limit((12 + random.below(8)) << 20, s.now());
    if (flushes < 5 && random.below(20) == 0) {  // few, or nothing is ever found
      s.data.flush_all(0, s.now());
      ++flushes;
    }
  }
}

void run_peer(shared_state& s) {
  std::vector<replication::journal::position> at(s.data.shard_count());
  while (!s.done.load())
    for (std::size_t n = 0; n < at.size(); ++n) {
      at[n] = std::max(at[n], s.data.journal_begin(n));
      at[n] = s.data.read_journal(n, at[n], s.now(),
                                  [budget = 64](const auto&) mutable { return --budget != 0; });
      s.data.confirm(n, at[n], true);
    }
}

void run_all(shared_state& s, bool may_lose) {
  std::vector<std::map<std::string, std::string>> left(writers);
  std::vector<std::thread> workers;
  for (unsigned id = 0; id < writers; ++id)
    workers.emplace_back([&, id] { left[id] = run_writer(s, id, may_lose); });
  std::thread upkeep([&] { run_upkeep(s, may_lose); });
  std::thread peer([&] { run_peer(s); });
  for (std::thread& w : workers) w.join();
  s.done.store(true);
  upkeep.join();
  peer.join();
  REQUIRE(s.wrong.load() == 0);
  REQUIRE(s.hits.load() > 100);
  for (const auto& mine : left)
    for (const auto& [key, last] : mine) {
      const auto value = read(s, key);
      if (value) REQUIRE(*value == last);
      if (!value && !may_lose) REQUIRE(last.empty());
    }
  for (int n = 0; n < 100; ++n) s.data.housekeep(s.now());
  REQUIRE(s.data.used_bytes() <= s.data.memory_limit());
}

}  // namespace

TEST_CASE("threads that share a store find what they left, where nothing is evicted") {
  shared_state s(
      {.shards = 4, .memory_bytes = 128 << 20, .evict = false, .journal_bytes = 1 << 20});
  run_all(s, false);
  REQUIRE(s.refused.load() == 0);
  REQUIRE(s.data.statistics().evictions == 0);
}

TEST_CASE("threads that share a store that evicts find the last value or none") {
  shared_state s({.shards = 4, .memory_bytes = 16 << 20, .journal_bytes = 1 << 20});
  run_all(s, true);
}
