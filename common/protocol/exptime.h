// memcached's rule for the time to live that clients send: up to 30 days it counts from now, above
// that it is a Unix time, 0 is never and a negative one is already over.
#pragma once

#include <cstdint>

namespace tandem::protocol {

constexpr std::int32_t relative_exptime_max = 60 * 60 * 24 * 30;  // seconds

// A moment that lies behind every clock: what a negative exptime becomes.
constexpr std::uint32_t already_expired = 1;

// The Unix second at which something with this exptime is gone, 0: never. `now` in Unix seconds.
constexpr std::uint32_t absolute_exptime(std::int32_t exptime, std::uint32_t now) noexcept {
  if (exptime < 0) return already_expired;
  if (exptime == 0) return 0;
  const auto seconds = static_cast<std::uint32_t>(exptime);
  if (exptime > relative_exptime_max) return seconds;
  // Past the end of the 32-bit epoch (February 2106) time stands still.
  return seconds > UINT32_MAX - now ? UINT32_MAX : now + seconds;
}

}  // namespace tandem::protocol
