// How long requests take, sampled: one turn of a worker in sample_every is measured from the moment
// when its bytes were read to the moment when its replies are with the kernel. What waits for the
// peer (replication.ack) or for a slow client is not in it: this is the node's own time.
//
// A turn counts for the command that it consisted of, however many keys or pipelined requests; one
// of several different commands is `mixed`. One writer, its worker; any thread reads.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/service/worker_statistics.h"

namespace tandem::admin {

enum class turn_kind : std::uint8_t { get, set, remove, arithmetic, touch, mixed, other };
inline constexpr std::size_t turn_kinds = 7;
std::string_view to_string(turn_kind kind) noexcept;

// Upper bounds of the buckets, inclusive; one more holds what is above them.
inline constexpr std::array<std::uint32_t, 16> latency_bounds_us = {
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 50000, 200000, 1000000};

struct latency_totals {
  struct histogram {
    std::array<std::uint64_t, latency_bounds_us.size() + 1> buckets{};  // not cumulative
    std::uint64_t nanoseconds = 0;
    std::uint64_t count() const noexcept {
      std::uint64_t sum = 0;
      for (const std::uint64_t each : buckets) sum += each;
      return sum;
    }
  };
  std::array<histogram, turn_kinds> by_kind{};
};

class latency_recorder {
 public:
  static constexpr unsigned sample_every = 64;

  // Whether this turn is to be measured: true once in sample_every calls.
  bool due() noexcept { return --left_ == 0; }
  // A turn of `who` begins, of a worker with these counters.
  void begin(const void* who, const service::worker_statistics& counters,
             std::chrono::nanoseconds now) noexcept {
    left_ = sample_every;
    who_ = who;
    began_ = now;
    before_ = count(counters);
  }
  // Whether the turn under measurement is of `who`.
  bool measures(const void* who) const noexcept { return who_ == who; }
  void end(const service::worker_statistics& counters, std::chrono::nanoseconds now) noexcept {
    who_ = nullptr;
    record(kind_of_turn(before_, count(counters)), now - began_);
  }
  // It is no fair sample: something else was waited for.
  void drop() noexcept { who_ = nullptr; }

  // Adds what was recorded to `to`. Any thread.
  void add_to(latency_totals& to) const noexcept;

 private:
  // Commands executed, by the kinds that there are before `mixed`.
  using counts = std::array<std::uint64_t, 5>;
  static counts count(const service::worker_statistics& from) noexcept;
  static turn_kind kind_of_turn(const counts& before, const counts& after) noexcept;
  void record(turn_kind kind, std::chrono::nanoseconds took) noexcept;

  struct histogram {
    std::array<service::counter, latency_bounds_us.size() + 1> buckets;
    service::counter nanoseconds;
  };

  unsigned left_ = sample_every;
  const void* who_ = nullptr;
  std::chrono::nanoseconds began_{};
  counts before_{};
  std::array<histogram, turn_kinds> by_kind_;
};

}  // namespace tandem::admin
