// How many client connections there are and were: written by the listener and the workers, read by
// `stats` from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace tandem::proxy {

class connection_counts {
 public:
  // Takes a place if one of `limit` is free.
  bool enter(std::uint64_t limit) noexcept {
    const std::uint64_t before = current_.fetch_add(1, std::memory_order_relaxed);
    if (before >= limit) {
      leave();
      rejected_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    total_.fetch_add(1, std::memory_order_relaxed);
    std::uint64_t peak = peak_.load(std::memory_order_relaxed);
    while (peak <= before &&
           !peak_.compare_exchange_weak(peak, before + 1, std::memory_order_relaxed)) {
    }
    return true;
  }
  void leave() noexcept { current_.fetch_sub(1, std::memory_order_relaxed); }
  void accepting_paused() noexcept { paused_.fetch_add(1, std::memory_order_relaxed); }
  void accepting_resumed(std::chrono::microseconds after) noexcept {
    const auto microseconds = static_cast<std::uint64_t>(after.count());
    paused_microseconds_.fetch_add(microseconds, std::memory_order_relaxed);
  }

  std::uint64_t current() const noexcept { return current_.load(std::memory_order_relaxed); }
  std::uint64_t peak() const noexcept { return peak_.load(std::memory_order_relaxed); }
  // Since the last reset.
  std::uint64_t total() const noexcept { return total_.load(std::memory_order_relaxed); }
  std::uint64_t rejected() const noexcept { return rejected_.load(std::memory_order_relaxed); }
  std::uint64_t paused() const noexcept { return paused_.load(std::memory_order_relaxed); }
  std::uint64_t paused_microseconds() const noexcept {
    return paused_microseconds_.load(std::memory_order_relaxed);
  }
  void reset() noexcept {
    total_.store(0, std::memory_order_relaxed);
    rejected_.store(0, std::memory_order_relaxed);
    paused_.store(0, std::memory_order_relaxed);
    paused_microseconds_.store(0, std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> current_{0}, peak_{0}, total_{0}, rejected_{0}, paused_{0};
  std::atomic<std::uint64_t> paused_microseconds_{0};
};

}  // namespace tandem::proxy
