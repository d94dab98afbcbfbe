// The two clocks of the program, as types. Nothing under common/ reads a clock: every call that
// needs the time is given it, so that the simulator can bend it.
#pragma once

#include <chrono>
#include <cstdint>

namespace tandem {

// Tags for std::chrono::time_point; they have no now() on purpose.
struct wall_clock {
  using duration = std::chrono::microseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<wall_clock, duration>;
  static constexpr bool is_steady = false;
};
struct monotonic_clock {
  using duration = std::chrono::microseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<monotonic_clock, duration>;
  static constexpr bool is_steady = true;
};

using wall_time = wall_clock::time_point;         // since the Unix epoch; may jump either way
using steady_time = monotonic_clock::time_point;  // since an arbitrary start; never goes back

// One reading of both clocks.
struct instant {
  wall_time wall;
  steady_time steady;
};

// Whole Unix seconds, memcached's unit of expiry. Times before 1970 read as 0.
constexpr std::uint32_t unix_seconds(wall_time t) noexcept {
  const auto s = std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count();
  return s < 0 ? 0 : static_cast<std::uint32_t>(s);
}

}  // namespace tandem
