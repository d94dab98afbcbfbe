// The clock of a memcached, seen from ours: a count of whole seconds that goes on once a second, at
// a moment of its own, and may be off by a second or two, or by whatever our clock was set since it
// was started. An item with the expiry X by that clock is gone when the count comes to X. Here such
// seconds are turned into ours and back, so that an item has the same time to live in a memcached
// and at the peer: to the half second, which is what whole seconds allow. (What a client writes
// within some milliseconds of a tick, for so long from now, may be taken for a second off. And
// ticks drift: on a busy machine a memcached's clock comes later by as much as its timers are
// late.) Pure.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/time.h"

namespace tandem::backend {

// What `stats` says of the process.
struct process_reading {
  std::int64_t second = 0;   // its count, in Unix seconds
  std::int64_t started = 0;  // likewise, about
  std::uint64_t pid = 0;
  std::uint64_t items = 0;
};
// `text`: the whole reply. Nothing: it is none.
std::optional<process_reading> read_stats(std::string_view text);

// Finds out how far that clock is behind ours, by readings of it. One thread.
class clock_meter {
 public:
  using microseconds = std::chrono::microseconds;
  // It is known so well that its ticks are told from each other.
  static constexpr microseconds precise{100'000};

  // The count was `second` at some moment from `asked` to `answered`. A reading that does not go
  // with those before it voids them.
  void heard(std::int64_t second, wall_time asked, wall_time answered) noexcept;
  void restart() noexcept { *this = {}; }
  bool is_precise() const noexcept { return known_ && high_ - low_ <= precise; }
  // Our time at which the count comes to a second, less that second: the middle of what is
  // possible.
  microseconds behind() const noexcept { return low_ + (high_ - low_) / 2; }
  // How long to wait, of `pause` and a second more, so that a reading would show if its ticks come
  // later than they are expected, or earlier.
  enum class suspicion : std::uint8_t { late, early };
  microseconds until_check(wall_time now, microseconds pause, suspicion of) const noexcept;

 private:
  bool known_ = false;
  microseconds low_{}, high_{};  // of behind()
};

// What was found out. Any thread; one at a time sets it.
class clock {
 public:
  // As if it were ours, before it is set.
  void set(std::chrono::microseconds behind) noexcept { behind_.store(behind.count()); }
  // Whether it is set as well as can be; false: it will be in a second or so.
  bool settled() const noexcept { return settled_.load(); }
  void settle(bool yes) noexcept { settled_.store(yes); }

  // The second that it counts at this moment of ours, give or take one close to a tick.
  std::uint32_t second(wall_time now) const noexcept;
  // The first and the last that it may have counted between two moments of ours.
  std::uint32_t earliest(wall_time from) const noexcept { return second(from - tick_doubt); }
  std::uint32_t latest(wall_time to) const noexcept { return second(to + tick_doubt); }
  // An expiry of one clock by the other; 0, never, and what is past every clock stay. `part`, in
  // 1/256 s: so much later.
  struct moment {
    std::uint32_t second = 0;
    std::int8_t part = 0;
  };
  moment ours(std::uint32_t theirs) const noexcept;
  std::uint32_t theirs(std::uint32_t ours, std::int8_t part = 0) const noexcept;
  // By our clock, what memcached makes of an exptime that it is sent at this moment.
  std::uint32_t exptime(std::int32_t sent, wall_time now) const noexcept;

 private:
  static constexpr std::chrono::microseconds tick_doubt = clock_meter::precise;

  std::chrono::microseconds behind() const noexcept {
    return std::chrono::microseconds(behind_.load(std::memory_order_relaxed));
  }

  std::atomic<std::int64_t> behind_{0};
  std::atomic<bool> settled_{true};
};

}  // namespace tandem::backend
