// How far the peer's clock is from ours, from pings and pongs, as NTP does it: a pong tells the
// peer's clock at a moment that lies somewhere in the round trip. Taken as its middle it is wrong
// by half the round trip at the most, so the quickest of the last trips is believed.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>

#include "common/base/time.h"

namespace tandem::replication {

class clock_offset {
 public:
  using duration = std::chrono::microseconds;

  // A pong arrives at `now`: of a ping sent at `sent`, written when the peer's clock said `theirs`.
  void learn(steady_time sent, wall_time theirs, instant now) noexcept {
    // Not from a peer that makes numbers up.
    if (sent > now.steady || sent < now.steady - trip_max) return;
    const duration trip = now.steady - sent;
    // Unsigned, so that no clock, however wrong, overflows.
    const auto apart = static_cast<std::int64_t>(
        static_cast<std::uint64_t>(theirs.time_since_epoch().count()) -
        static_cast<std::uint64_t>((now.wall - trip / 2).time_since_epoch().count()));
    samples_[next_++ % samples_.size()] = {trip, duration(apart)};
  }
  // Peer's minus ours; nothing: not measured yet.
  std::optional<duration> offset() const noexcept {
    const sample* const best = quickest();
    return best == nullptr ? std::nullopt : std::optional(best->offset);
  }
  duration round_trip() const noexcept {
    const sample* const best = quickest();
    return best == nullptr ? duration::zero() : best->trip;
  }

 private:
  static constexpr std::chrono::minutes trip_max{10};
  struct sample {
    duration trip;
    duration offset;
  };
  const sample* quickest() const noexcept {
    const sample* best = nullptr;
    for (std::size_t i = 0; i < samples_.size() && i < next_; ++i)
      if (best == nullptr || samples_[i].trip < best->trip) best = &samples_[i];
    return best;
  }

  std::array<sample, 8> samples_{};
  std::size_t next_ = 0;
};

}  // namespace tandem::replication
