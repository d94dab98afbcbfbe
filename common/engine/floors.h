// The floor table: for each slot of the key hash the highest version of anything that was dropped
// without a tombstone. One slot serves many keys, so a floor may be too high for a key (which then
// costs a refused record, a miss later), never too low. Fixed in size. Private to the engine.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "common/base/version.h"

namespace tandem::engine {

constexpr std::size_t floor_slots_per_shard_min = 64;
constexpr std::size_t floor_slots_per_shard_max = std::size_t{1} << 20;
// A slot of 8 bytes for so many bytes of the shard's limit: a thousandth of it, and a slot for
// some 50 small items.
constexpr std::size_t floor_slot_share = 8192;

class floor_table {
 public:
  // Throws std::bad_alloc.
  explicit floor_table(std::size_t memory_bytes)
      : slots_(std::bit_floor(std::clamp(memory_bytes / floor_slot_share, floor_slots_per_shard_min,
                                         floor_slots_per_shard_max))) {}

  version at(std::uint64_t hash) const noexcept { return slots_[slot(hash)]; }
  void raise(std::uint64_t hash, version at_least) noexcept {
    version& floor = slots_[slot(hash)];
    floor = std::max(floor, at_least);
  }
  std::size_t bytes() const noexcept { return slots_.size() * sizeof(version); }

 private:
  // Middle bits: the low ones choose the shard, the top ones the bucket.
  std::size_t slot(std::uint64_t hash) const noexcept { return (hash >> 20) & (slots_.size() - 1); }

  std::vector<version> slots_;
};

}  // namespace tandem::engine
