// The store's limit of memory at run time. A higher one is in force at once; down to a lower one
// the shards follow in steps, with the housekeeping, so that none is locked for long and no worker
// evicts for seconds.
#include <algorithm>

#include "common/service/store.h"

namespace tandem::service {

namespace {

// A shard's segments keep the size that fits its first limit. With fewer of them than this the
// bands have too few to share.
constexpr std::size_t segments_min = 16;
// Its books of segments keep the size for the highest limit it had: under a hundredth of that.
constexpr std::size_t highest_share = 64;
constexpr std::size_t shard_bytes_min = std::size_t{1} << 20;
constexpr std::size_t largest_items = 3;  // that a shard has room for, as shard_count_for() sees to

constexpr std::size_t steps_max = 64;           // per call, but at least one a shard
constexpr std::size_t steps_per_shard_max = 8;  // per call

}  // namespace

bool store::set_memory_limit(std::size_t bytes, instant now) {
  {
    const std::lock_guard guard(limit_mutex_);
    const std::size_t shards = partitions_.size();
    const std::size_t share = bytes / shards;
    const std::size_t before = memory_limit() / shards;
    const std::size_t least =
        options_.journal_bytes / shards +
        std::max({segments_min * segment_bytes(), largest_items * options_.item_size_max,
                  highest_limit_ / shards / highest_share, shard_bytes_min});
    if (share < std::min(least, before)) return false;
    if (share > engine::limit_growth_max * (options_.memory_bytes / shards)) return false;
    highest_limit_ = std::max(highest_limit_, bytes);
    memory_limit_.store(bytes, std::memory_order_relaxed);
    if (share < before) return true;
  }
  follow_memory_limit(now);
  return true;
}

void store::follow_memory_limit(instant now) {
  const std::size_t steps =
      std::clamp<std::size_t>(steps_max / partitions_.size(), 1, steps_per_shard_max);
  for (const auto& p : partitions_) {
    for (std::size_t step = 0; step < steps; ++step) {
      const std::lock_guard guard(p->mutex);
      const std::size_t share = memory_limit() / partitions_.size();
      if (p->items.limits().memory_bytes == share || p->items.set_limit(share, now)) break;
    }
  }
}

}  // namespace tandem::service
