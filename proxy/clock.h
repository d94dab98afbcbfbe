// The only reading of the clocks. Two vDSO calls, about 50 ns: once per event, not per request.
// Any thread.
#pragma once

#include <chrono>

#include "common/base/time.h"

namespace tandem::proxy {

inline instant now() noexcept {
  using std::chrono::duration_cast;
  using std::chrono::microseconds;
  return {
      wall_time(duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch())),
      steady_time(
          duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch()))};
}

// For what takes less than a microsecond or a few.
inline std::chrono::nanoseconds precise_now() noexcept {
  return std::chrono::steady_clock::now().time_since_epoch();
}

// The same moment for a timer. libstdc++'s steady_clock counts CLOCK_MONOTONIC from its start.
inline std::chrono::steady_clock::time_point timer_time(steady_time t) noexcept {
  return std::chrono::steady_clock::time_point(t.time_since_epoch());
}

}  // namespace tandem::proxy
