// What `lru_crawler` and `slabs automove` set and count, shared by all connections. Expired memory
// is reclaimed and the bands are balanced by the engine itself, so the settings are kept for those
// who ask for them and change nothing; what is guarded is the one dump that may run. Any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace tandem::service {

class crawler {
 public:
  bool enabled() const noexcept { return enabled_.load(std::memory_order_relaxed); }
  // False: it was so already.
  bool enable(bool on) noexcept { return enabled_.exchange(on, std::memory_order_relaxed) != on; }

  // Takes the place of the one dump; false: it is taken.
  bool begin_dump() noexcept {
    if (dumping_.exchange(true, std::memory_order_acq_rel)) return false;
    starts_.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  void end_dump() noexcept { dumping_.store(false, std::memory_order_release); }
  bool dumping() const noexcept { return dumping_.load(std::memory_order_relaxed); }
  void crawled() noexcept { starts_.fetch_add(1, std::memory_order_relaxed); }
  void checked(std::uint64_t items) noexcept {
    checked_.fetch_add(items, std::memory_order_relaxed);
  }

  std::uint64_t starts() const noexcept { return starts_.load(std::memory_order_relaxed); }
  std::uint64_t items_checked() const noexcept { return checked_.load(std::memory_order_relaxed); }
  void reset_statistics() noexcept {
    starts_.store(0, std::memory_order_relaxed);
    checked_.store(0, std::memory_order_relaxed);
  }

  // memcached's defaults.
  std::atomic<std::uint32_t> sleep_microseconds{100};
  std::atomic<std::uint32_t> items_per_run{0};
  std::atomic<std::uint32_t> automove{0};
  std::atomic<std::uint32_t> automove_window{30};

 private:
  std::atomic<bool> enabled_{true};
  std::atomic<bool> dumping_{false};
  std::atomic<std::uint64_t> starts_{0}, checked_{0};
};

}  // namespace tandem::service
