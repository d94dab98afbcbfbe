// What a shard counts, in memcached's terms and in its own.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "common/engine/segment_log.h"

namespace tandem::engine {

// Of the values of one band of sizes. Counters since start or reset_statistics(), and gauges marked
// so.
struct band_statistics {
  std::uint64_t items = 0;     // gauge
  std::uint64_t bytes = 0;     // gauge: of their records and large values
  std::uint64_t oldest = 0;    // gauge: Unix seconds when its oldest segment was begun; 0: none
  std::uint64_t segments = 0;  // gauge
  std::uint64_t evictions = 0;
  std::uint64_t evicted_with_exptime = 0;
  std::uint64_t evicted_unfetched = 0;
  std::uint64_t evicted_idle = 0;  // gauge: seconds since the last access of the last evicted
  std::uint64_t reclaimed = 0;     // expired or flushed items removed (no evictions)
  std::uint64_t expired_unfetched = 0;

  band_statistics& operator+=(const band_statistics& other) noexcept {
    items += other.items;
    bytes += other.bytes;
    if (other.oldest != 0) oldest = oldest == 0 ? other.oldest : std::min(oldest, other.oldest);
    segments += other.segments;
    evictions += other.evictions;
    evicted_with_exptime += other.evicted_with_exptime;
    evicted_unfetched += other.evicted_unfetched;
    evicted_idle = std::max(evicted_idle, other.evicted_idle);
    reclaimed += other.reclaimed;
    expired_unfetched += other.expired_unfetched;
    return *this;
  }
};

struct shard_statistics {
  std::uint64_t items = 0;            // gauge: visible or not yet reclaimed values
  std::uint64_t tombstones = 0;       // gauge
  std::uint64_t item_bytes = 0;       // gauge: key + value + overhead of values, large ones too
  std::uint64_t tombstone_bytes = 0;  // gauge
  std::uint64_t index_bytes = 0;      // gauge: index and floor tables
  std::uint64_t log_bytes = 0;        // gauge: segments in use or free, and their books
  std::uint64_t dead_bytes = 0;       // gauge: in segments in use, of no record
  std::uint64_t large_bytes = 0;      // gauge: large values, stored, reserved and pinned ones
  std::uint64_t warm_bytes = 0;       // gauge: memory that they left for the next
  std::uint64_t total_items = 0;      // values ever stored
  std::uint64_t evictions = 0;
  std::uint64_t evicted_unfetched = 0;
  std::uint64_t reclaimed = 0;  // expired or flushed items removed (no evictions)
  std::uint64_t expired_unfetched = 0;
  std::uint64_t find_expired = 0;  // find() calls that met an item which had expired,
  std::uint64_t find_flushed = 0;  // or was flushed
  std::uint64_t out_of_memory = 0;
  std::uint64_t tombstones_dropped = 0;  // at the cap, before the peer had confirmed them
  std::uint64_t ghost_hits = 0;          // keys that came back while they were remembered
  std::uint64_t moved_bytes = 0;         // copied by the eviction, of records it spared
  std::uint64_t compacted_bytes = 0;     // copied to free segments of their dead bytes
  std::array<band_statistics, bands> by_band;

  shard_statistics& operator+=(const shard_statistics& other) noexcept {
    items += other.items;
    tombstones += other.tombstones;
    item_bytes += other.item_bytes;
    tombstone_bytes += other.tombstone_bytes;
    index_bytes += other.index_bytes;
    log_bytes += other.log_bytes;
    dead_bytes += other.dead_bytes;
    large_bytes += other.large_bytes;
    warm_bytes += other.warm_bytes;
    total_items += other.total_items;
    evictions += other.evictions;
    evicted_unfetched += other.evicted_unfetched;
    reclaimed += other.reclaimed;
    expired_unfetched += other.expired_unfetched;
    find_expired += other.find_expired;
    find_flushed += other.find_flushed;
    out_of_memory += other.out_of_memory;
    tombstones_dropped += other.tombstones_dropped;
    ghost_hits += other.ghost_hits;
    moved_bytes += other.moved_bytes;
    compacted_bytes += other.compacted_bytes;
    for (unsigned band = 0; band < bands; ++band) by_band[band] += other.by_band[band];
    return *this;
  }
};

}  // namespace tandem::engine
