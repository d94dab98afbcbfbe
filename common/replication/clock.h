// The hybrid logical clock of one shard: versions that rise whatever the wall clock does
// (Kulkarni et al., "Logical Physical Clocks", 2014; Couchbase's HLC is its nearest relative).
// Only versions of the same key are ever compared, so every shard has its own.
// Not thread-safe: guarded by the shard's lock.
#pragma once

#include <algorithm>

#include "common/base/version.h"

namespace tandem::replication {

class hybrid_clock {
 public:
  // A version above everything issued or observed so far, near `now` when the wall clock allows.
  version issue(wall_time now, unsigned node) noexcept {
    last_ticks_ = std::max(version::ticks_at(now), last_ticks_ + 1);
    return {last_ticks_, node};
  }
  // Learns of a version issued elsewhere; the next issued one will be above it.
  void observe(version seen) noexcept { last_ticks_ = std::max(last_ticks_, seen.ticks()); }
  // No version issued or observed so far is above this.
  version last() const noexcept { return {last_ticks_, version::node_mask}; }

 private:
  std::uint64_t last_ticks_ = 0;
};

}  // namespace tandem::replication
