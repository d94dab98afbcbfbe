// The word that orders every state of a key, on both nodes: microseconds since 2025-01-01 in the
// upper 50 bits, the issuing node's id in the lower 3. It is also the CAS unique that clients see.
// It stays below 2^53 (exact in a double) until 2060. Versions are issued by
// replication/clock.h; 0 means "none" and is lower than every issued version.
#pragma once

#include <compare>
#include <cstdint>

#include "common/base/time.h"

namespace tandem {

class version {
 public:
  static constexpr unsigned node_bits = 3;
  static constexpr std::uint64_t node_mask = (1U << node_bits) - 1;
  static constexpr std::int64_t epoch_seconds = 1735689600;  // 2025-01-01T00:00:00Z

  constexpr version() = default;
  // From its word, as read from a peer or a client's CAS unique. Any value is a valid version.
  constexpr explicit version(std::uint64_t word) : word_(word) {}
  // ticks: microseconds since the epoch above; node: 0..7.
  constexpr version(std::uint64_t ticks, unsigned node)
      : word_(ticks << node_bits | (node & node_mask)) {}

  // The ticks of a wall time, at least 1: a clock set before 2025 still issues valid versions.
  static constexpr std::uint64_t ticks_at(wall_time t) {
    const std::int64_t us = t.time_since_epoch().count() - epoch_seconds * 1'000'000;
    return us < 1 ? 1 : static_cast<std::uint64_t>(us);
  }

  constexpr std::uint64_t word() const { return word_; }
  constexpr std::uint64_t ticks() const { return word_ >> node_bits; }
  constexpr unsigned node() const { return static_cast<unsigned>(word_ & node_mask); }
  constexpr explicit operator bool() const { return word_ != 0; }
  // A clock that has learnt of it can go on rising from it for ever. What a peer says may not be.
  constexpr bool plausible() const { return word_ < std::uint64_t{1} << 62; }

  friend constexpr auto operator<=>(version, version) = default;

 private:
  std::uint64_t word_ = 0;
};

}  // namespace tandem
