// What the engine costs an item, beside a model of memcached's hash table (chained_table.h): get,
// set (an overwrite of the same size), nine gets to a set, one by one and in batches of 32 that
// look ahead as shard.h says; and a walk over everything while another thread serves.
//
//   tandem_bench --benchmark_filter=/5M/      all rows of 5 M items (also 0.4M, 20M)
//   tandem_bench --benchmark_filter=bulk
//
// The columns Time and CPU are ns per item; with two threads, CPU is the thread's own. Others on
// the machine change Time, so read CPU, the median of the repetitions.
//
// Keys of 20 bytes, values of 100; the keys asked for are drawn before, uniformly, and read in
// order, as from a connection's buffer. Hashing a key and copying a value out count. Rows:
//   engine 1 shard            one engine::shard, no lock
//   engine 4 shards           what a server with one worker has, no lock
//   engine 8 shards, mutex    what a server with two workers has, a std::mutex each (threads:2)
//   chained                   the model, without locks
//   chained, locks            the same with memcached's locks (threads:2)
#include <benchmark/benchmark.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "common/base/hash.h"
#include "common/base/prng.h"
#include "common/engine/shard.h"
#include "common/replication/record_codec.h"
#include "common/service/store.h"
#include "tests/bench/chained_table.h"
#include "tests/bench/content.h"

namespace {

using namespace tandem;         // NOLINT(google-build-using-namespace)
using namespace tandem::bench;  // NOLINT(google-build-using-namespace)

constexpr std::size_t batch = 32;
constexpr std::size_t value_size = 100;
constexpr std::size_t requests = std::size_t{1} << 22;
constexpr int repetitions = 5;
constexpr unsigned set_every = 10;  // of a mix

constexpr instant now{wall_time{std::chrono::seconds(1'767'225'600)}, {}};  // 2026-01-01

struct data_size {
  const char* name;
  std::size_t items;
  std::size_t memory_bytes;  // adequate: nothing is evicted
};
constexpr std::array sizes = {data_size{"0.4M", 400'000, std::size_t{256} << 20},
                              data_size{"5M", 5'000'000, std::size_t{1229} << 20},
                              data_size{"20M", 20'000'000, std::size_t{4915} << 20}};

// ---- what is measured ------------------------------------------------------------------------

class engine_table {
 public:
  engine_table(std::size_t shards, std::size_t memory_bytes, bool locks) : locks_(locks) {
    engine::shard_limits limits;
    limits.memory_bytes = memory_bytes / shards;
    for (std::size_t n = 0; n < shards; ++n) parts_.push_back(std::make_unique<part>(limits));
  }

  std::size_t get(std::uint64_t hash, std::string_view key, char* out) {
    part& p = part_of(hash);
    const auto guard = lock(p);
    const auto item = p.items.find(hash, key, now);
    if (!item) return 0;
    std::memcpy(out, item->value.data(), item->value.size());
    return item->value.size();
  }
  void set(std::uint64_t hash, std::string_view key, std::string_view value) {
    part& p = part_of(hash);
    const auto guard = lock(p);
    engine::item_meta meta;
    meta.stored = version(++p.ticks, 0);
    CHECK(p.items.store(hash, key, meta, value, now) == engine::store_status::stored);
  }
  void prefetch_index(std::uint64_t hash) { part_of(hash).items.prefetch_index(hash); }
  void prefetch_item(std::uint64_t hash) {
    part& p = part_of(hash);
    const auto guard = lock(p);
    p.items.prefetch_item(hash);
  }

 private:
  struct alignas(64) part {
    explicit part(const engine::shard_limits& limits) : items(limits) {}
    std::mutex mutex;
    std::uint64_t ticks = 0;
    engine::shard items;
  };
  part& part_of(std::uint64_t hash) { return *parts_[hash & (parts_.size() - 1)]; }
  std::unique_lock<std::mutex> lock(part& p) const {
    return locks_ ? std::unique_lock(p.mutex) : std::unique_lock<std::mutex>();
  }

  const bool locks_;
  std::vector<std::unique_ptr<part>> parts_;
};

// The same for the model.
class model_table {
 public:
  explicit model_table(bool locks) : table_(locks) {}
  std::size_t get(std::uint64_t hash, std::string_view key, char* out) {
    return table_.get(hash, key, unix_seconds(now.wall), out);
  }
  void set(std::uint64_t hash, std::string_view key, std::string_view value) {
    table_.set(hash, key, value, unix_seconds(now.wall));
  }

 private:
  chained_table table_;
};

enum class layout : std::uint8_t { engine_1, engine_4, engine_8_mutex, chained, chained_locks };
constexpr std::array layout_names = {"engine 1 shard", "engine 4 shards", "engine 8 shards, mutex",
                                     "chained", "chained, locks"};
constexpr bool is_engine(layout l) {
  return l <= layout::engine_8_mutex;
}
constexpr int threads_of(layout l) {
  return l == layout::engine_8_mutex || l == layout::chained_locks ? 2 : 1;
}

// ---- data sets -------------------------------------------------------------------------------

// The keys that are asked for, the same for every layout.
std::vector<key_name> make_requests(std::size_t items) {
  prng random(items);
  std::vector<key_name> keys;
  keys.reserve(requests);
  for (std::size_t n = 0; n < requests; ++n) keys.emplace_back(random.below(items));
  return keys;
}

template <class Set>
void fill(std::size_t items, const Set& set) {
  value_maker values(value_size);
  for (std::size_t id = 0; id < items; ++id) {
    const key_name key(id);
    set(key.view(), values.make(id, value_size));
  }
}

// One at a time, made when first used and kept for the benchmarks that follow and use the same.
struct data_set {
  data_set(layout l, const data_size& s) : how(l), size(s), keys(make_requests(s.items)) {
    const auto fill_table = [&](auto& table) {
      fill(s.items, [&](std::string_view key, std::string_view value) {
        table.set(hash_key(key), key, value);
      });
    };
    if (is_engine(l)) {
      const std::size_t shards = l == layout::engine_1 ? 1 : l == layout::engine_4 ? 4 : 8;
      fill_table(engine.emplace(shards, s.memory_bytes, threads_of(l) > 1));
    } else {
      fill_table(model.emplace(threads_of(l) > 1));
    }
  }

  const layout how;
  const data_size& size;
  const std::vector<key_name> keys;
  std::optional<engine_table> engine;
  std::optional<model_table> model;
};

std::unique_ptr<data_set> current;
std::mutex current_mutex;

data_set& prepared(layout l, const data_size& s) {
  const std::lock_guard guard(current_mutex);
  if (current && current->how == l && &current->size == &s) return *current;
  current.reset();
  current = std::make_unique<data_set>(l, s);
  return *current;
}

// ---- one by one and in batches ---------------------------------------------------------------

enum class mix : std::uint8_t { get, set, mixed };

// The processor begins nothing before all it has begun is done: between two commands that come one
// by one lies too much for it to look ahead to the second, and here it must not either.
void wait_for_loads() {
#if defined(__SSE2__)
  _mm_lfence();
#endif
}

// What a worker thread does with the requests that it has read.
template <class Table>
class worker {
 public:
  worker(Table& table, const std::vector<key_name>& keys, int thread)
      : table_(table), keys_(keys), at_(keys.size() / 2 * static_cast<std::size_t>(thread)) {}

  void one_by_one(mix m) {
    const key_name* const keys = next();
    for (std::size_t i = 0; i < batch; ++i) {
      execute(m, hash_key(keys[i].view()), keys[i], i);
      wait_for_loads();
    }
  }
  void batched(mix m) {
    const key_name* const keys = next();
    for (std::size_t i = 0; i < batch; ++i) {
      hashes_[i] = hash_key(keys[i].view());
      table_.prefetch_index(hashes_[i]);
    }
    for (const std::uint64_t hash : hashes_) table_.prefetch_item(hash);
    for (std::size_t i = 0; i < batch; ++i) execute(m, hashes_[i], keys[i], i);
  }
  bool all_found() const { return missed_ == 0; }

 private:
  const key_name* next() {
    if (at_ == keys_.size()) at_ = 0;
    at_ += batch;
    return &keys_[at_ - batch];
  }
  void execute(mix m, std::uint64_t hash, const key_name& key, std::size_t i) {
    if (m == mix::set || (m == mix::mixed && ++executed_ % set_every == 0)) {
      table_.set(hash, key.view(), {value_.data(), value_.size()});
      return;
    }
    char* const to = out_.data() + i * value_size;
    missed_ += table_.get(hash, key.view(), to) != value_size;
    benchmark::DoNotOptimize(to);
    benchmark::ClobberMemory();
  }

  Table& table_;
  const std::vector<key_name>& keys_;
  std::size_t at_;
  std::uint64_t executed_ = 0, missed_ = 0;
  std::array<std::uint64_t, batch> hashes_{};
  std::array<char, value_size> value_{};
  std::array<char, batch * value_size> out_{};
};

template <class Table>
void measure(benchmark::State& state, Table& table, const std::vector<key_name>& keys, mix m,
             bool in_batches) {
  worker<Table> w(table, keys, state.thread_index());
  while (state.KeepRunningBatch(batch)) {
    if constexpr (std::is_same_v<Table, engine_table>) {
      if (in_batches) {
        w.batched(m);
        continue;
      }
    }
    w.one_by_one(m);
  }
  if (!w.all_found()) state.SkipWithError("a key was not found");
  state.SetItemsProcessed(state.iterations());
}

// ---- a walk over everything ------------------------------------------------------------------

double thread_cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

// A second client of the store: nine gets to a set, until it is told to stop.
class other_client {
 public:
  other_client(service::store& data, const std::vector<key_name>& keys)
      : thread_([this, &data, &keys] { serve(data, keys); }) {}
  ~other_client() { stop(); }
  std::uint64_t stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    return served_;
  }

 private:
  void serve(service::store& data, const std::vector<key_name>& keys) {
    std::array<char, value_size> value{};
    for (std::size_t at = 0; !stopping_; at = (at + 1) % keys.size()) {
      const service::hashed_key key(keys[at].view());
      auto shard = data.lock(key, now);
      if (++served_ % set_every == 0)
        shard.put(key, 0, 0, std::string_view(value.data(), value.size()));
      else if (const auto item = shard.find(key))
        benchmark::DoNotOptimize(std::memcpy(value.data(), item->value.data(), value.size()));
    }
  }

  std::atomic<bool> stopping_{false};
  std::uint64_t served_ = 0;
  std::thread thread_;
};

// As replication/sender.cc reads a store that the peer has not seen: 32 positions to a lock, the
// records encoded into frames of 64 KiB.
void bulk_read(benchmark::State& state) {
  constexpr unsigned scan_budget = 32;
  constexpr std::size_t frame_bytes = std::size_t{64} << 10;
  const data_size& size = sizes[1];
  current.reset();
  service::store_options options;
  options.shards = 8;
  options.memory_bytes = size.memory_bytes;
  service::store data(options);
  fill(size.items, [&](std::string_view key, std::string_view value) {
    const service::hashed_key k(key);
    data.lock(k, now).put(k, 0, 0, value);
  });
  const std::vector<key_name> keys = make_requests(size.items);
  std::uint64_t walked = 0, served = 0;
  double cpu_seconds = 0;
  std::string frame;
  for ([[maybe_unused]] auto _ : state) {
    other_client other(data, keys);
    const double start = thread_cpu_seconds();
    for (std::size_t shard = 0; shard < options.shards; ++shard) {
      for (engine::cursor at; !at.done;) {
        data.scan(shard, at, scan_budget, {}, now, [&](const replication::record& r) {
          replication::append_record(frame, r);
          ++walked;
          return true;
        });
        if (frame.size() < frame_bytes) continue;
        benchmark::DoNotOptimize(frame.data());
        frame.clear();
      }
    }
    cpu_seconds += thread_cpu_seconds() - start;
    served += other.stop();
  }
  const auto total = static_cast<double>(walked);
  if (walked < size.items * static_cast<std::size_t>(state.iterations()))
    state.SkipWithError("the walk missed items");
  state.counters["items/s"] = benchmark::Counter(total, benchmark::Counter::kIsRate);
  state.counters["items/s of CPU"] = total / cpu_seconds;
  state.counters["served beside/s"] =
      benchmark::Counter(static_cast<double>(served), benchmark::Counter::kIsRate);
}

// ---- the rows --------------------------------------------------------------------------------

void add_row(const data_size& size, layout l, mix m, bool in_batches) {
  constexpr std::array mix_names = {"get", "set", "mixed 9:1"};
  const std::string name = std::string(in_batches ? "batched " : "") +
                           mix_names[static_cast<std::size_t>(m)] + "/" + size.name + "/" +
                           layout_names[static_cast<std::size_t>(l)];
  benchmark::RegisterBenchmark(name.c_str(),
                               [&size, l, m, in_batches](benchmark::State& state) {
                                 data_set& data = prepared(l, size);
                                 if (data.engine)
                                   measure(state, *data.engine, data.keys, m, in_batches);
                                 else
                                   measure(state, *data.model, data.keys, m, in_batches);
                               })
      ->Threads(threads_of(l))
      ->Repetitions(repetitions)
      ->DisplayAggregatesOnly();
}

const bool registered = [] {
  for (const data_size& size : sizes) {
    for (const layout l : {layout::engine_1, layout::engine_4, layout::chained,
                           layout::engine_8_mutex, layout::chained_locks}) {
      for (const mix m : {mix::get, mix::set, mix::mixed}) add_row(size, l, m, false);
      for (const mix m : {mix::get, mix::mixed})
        if (is_engine(l)) add_row(size, l, m, true);
    }
  }
  benchmark::RegisterBenchmark("bulk read beside gets and sets/5M/store of 8 shards", bulk_read)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond)
      ->Iterations(5)
      ->Repetitions(1);
  return true;
}();

}  // namespace
