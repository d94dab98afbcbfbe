// The modes of tandem_fill other than a plain fill.
//
// Scenarios put a server through what makes memory grow, with its resident memory sampled all
// through. Amounts are in keys + values relative to the limit:
//   mixed      sizes log-uniform 10 B..300 KB (3x), then only small ones (2x), only large ones of
//   100
//              to 900 KB (2x), all again (2x)
//   overwrite  a full cache of 50 B..2 KB values, then as many sets again four times, half of them
//              overwriting one of the newest items with a size between 50 % and 150 % of its own
//   ttl        five waves that fill the cache (1.2x), each with other sizes and 9 of 10 items
//              expiring after a second or two; each wave begins when the one before has expired
//   flush      five waves that fill the cache (1.3x), each with other sizes, and a flush_all
//   between
// One line: scenario limit_bytes max_resident_bytes over_limit_bytes samples held evictions
// no_memory too_large (sets refused) seconds. The value sizes are cut to what the limit allows: an
// eighth of it.
//
// Expiry probes fill the cache completely with items that all expire at one moment; `held` is what
// it holds just before. The clock starts at that moment.
//   gone    nothing else is done: seconds until `stats` shows no more than 1 % of the items
//   usable  a fifth of the items do not expire (elders). Live items of another size (ten times as
//           large) are written at full speed until they and the elders are --live-percent (75) of
//           the limit, and then read back; from the second round on the elders are written anew,
//           too. The memory is usable once such a round loses nothing, no live item and no elder
//           (0.5 % of them are let pass): seconds until the beginning of that round. A server that
//           evicts live items while it is full of expired ones loses some. Sound for any server: an
//           empty one could hold all of it.
// One line: probe held seconds (--patience, 120, if it did not happen) happened; usable also:
// rounds live_items first_round_lost elders elders_lost (in the first round). `elders` are the half
// of them that was counted before the expiry, by reading them; the lost ones are counted in the
// other half, which nobody had read.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "tests/bench/server.h"
#include "tests/bench/set_writer.h"

namespace tandem::bench {

struct fill_options {
  size_range sizes;
  std::uint64_t items = 0;         // 0: more than fit
  unsigned overwrite_percent = 0;  // of the sets
  std::uint32_t ttl = 0;           // seconds; 0: none, or the probe's default
  std::uint64_t seed = 1;
  std::string scenario, probe;
  unsigned live_percent = 75;       // of the limit
  unsigned patience_seconds = 120;  // of a probe
};

// Both end the tool (exit status 2) when the server does; they return the exit status.
int run_scenario(client& server, const fill_options& given);
int probe_expiry(client& server, const fill_options& given);

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// As many items as would fill the limit so many times, if an item were only its key and value.
inline std::uint64_t items_for(const server_state& server, const size_range& sizes, double times) {
  const double mean =
      sizes.min == sizes.max
          ? static_cast<double>(sizes.min)
          : static_cast<double>(sizes.max - sizes.min) /
                std::log(static_cast<double>(sizes.max) / static_cast<double>(sizes.min));
  return static_cast<std::uint64_t>(times * static_cast<double>(server.limit_bytes) /
                                    (mean + static_cast<double>(key_size)));
}

}  // namespace tandem::bench
