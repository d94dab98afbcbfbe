// What the workers count, in memcached's terms, and its sums for `stats`.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <iterator>
#include <mutex>
#include <vector>

namespace tandem::service {

// A counter with one writer thread and any readers: no locked instruction on the hot path.
class counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }
  void reset() noexcept { value_.store(0, std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// One worker's counters. Written by that worker, read by any. On cache lines of its own, so that
// workers do not slow each other down.
struct alignas(64) worker_statistics {
  counter cmd_get, cmd_set, cmd_flush, cmd_touch, cmd_meta;
  counter get_hits, get_misses;
  counter delete_hits, delete_misses, incr_hits, incr_misses, decr_hits, decr_misses;
  counter cas_hits, cas_misses, cas_badval, touch_hits, touch_misses;
  counter store_too_large, store_no_memory;
  counter auth_cmds, auth_errors;
  counter bytes_read, bytes_written, conn_yields;
};

using worker_counter = counter worker_statistics::*;

// Every counter, by its name in `stats`.
struct named_counter {
  const char* name;
  worker_counter which;
};
inline constexpr named_counter worker_counters[] = {
    {"cmd_get", &worker_statistics::cmd_get},
    {"cmd_set", &worker_statistics::cmd_set},
    {"cmd_flush", &worker_statistics::cmd_flush},
    {"cmd_touch", &worker_statistics::cmd_touch},
    {"cmd_meta", &worker_statistics::cmd_meta},
    {"get_hits", &worker_statistics::get_hits},
    {"get_misses", &worker_statistics::get_misses},
    {"delete_misses", &worker_statistics::delete_misses},
    {"delete_hits", &worker_statistics::delete_hits},
    {"incr_misses", &worker_statistics::incr_misses},
    {"incr_hits", &worker_statistics::incr_hits},
    {"decr_misses", &worker_statistics::decr_misses},
    {"decr_hits", &worker_statistics::decr_hits},
    {"cas_misses", &worker_statistics::cas_misses},
    {"cas_hits", &worker_statistics::cas_hits},
    {"cas_badval", &worker_statistics::cas_badval},
    {"touch_hits", &worker_statistics::touch_hits},
    {"touch_misses", &worker_statistics::touch_misses},
    {"store_too_large", &worker_statistics::store_too_large},
    {"store_no_memory", &worker_statistics::store_no_memory},
    {"auth_cmds", &worker_statistics::auth_cmds},
    {"auth_errors", &worker_statistics::auth_errors},
    {"bytes_read", &worker_statistics::bytes_read},
    {"bytes_written", &worker_statistics::bytes_written},
    {"conn_yields", &worker_statistics::conn_yields},
};

// The sum of every counter over all workers, in the order of worker_counters.
using worker_totals = std::array<std::uint64_t, std::size(worker_counters)>;

inline worker_totals sum_of(const std::vector<worker_statistics*>& workers) {
  worker_totals sum{};
  for (const worker_statistics* worker : workers)
    for (std::size_t i = 0; i < sum.size(); ++i)
      sum[i] += (worker->*worker_counters[i].which).get();
  return sum;
}

// What the counters stood at when a client last sent `stats reset`: the reset takes that off, it
// writes to no other worker's counters. Any thread.
class statistics_baseline {
 public:
  void reset(const worker_totals& now) {
    const std::lock_guard guard(mutex_);
    baseline_ = now;
  }
  worker_totals since_reset(worker_totals totals) const {
    const std::lock_guard guard(mutex_);
    for (std::size_t i = 0; i < totals.size(); ++i) totals[i] -= baseline_[i];
    return totals;
  }

 private:
  mutable std::mutex mutex_;
  worker_totals baseline_{};
};

}  // namespace tandem::service
