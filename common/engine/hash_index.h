// The index of a shard: chains of records in buckets numbered by the top bits of the key hash, so
// that walking the buckets is walking in hash order and a position in hash space means the same
// before and after a resize.
//
// It resizes one bucket at a time (Litwin's linear hashing, VLDB'80, in hash order): growing splits
// bucket i of 2^bits into 2i and 2i+1 of 2^(bits+1), i rising; shrinking merges them back. Buckets
// lie in segments of a page which are allocated and freed as the resize passes them, so neither the
// time nor the memory of a resize comes in one piece. Private to the engine; owns no record.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "common/engine/record.h"

namespace tandem::engine {

class hash_index {
 public:
  // Throws std::bad_alloc.
  hash_index();

  // `hash` is hash_key(key) here and below. Null: there is none.
  record* find(std::uint64_t hash, std::string_view key) const noexcept;
  // The key must not be there.
  void insert(std::uint64_t hash, record* r) noexcept;
  // The record must be there.
  void erase(std::uint64_t hash, const record* r) noexcept {
    *link_to(hash, r) = r->chain;
    --size_;
  }
  void replace(std::uint64_t hash, const record* r, record* with) noexcept {
    with->chain = r->chain;
    *link_to(hash, r) = with;
  }

  // The bucket that holds `position` in hash space: its first record, and the highest hash that
  // falls into it.
  struct bucket {
    record* first;
    std::uint64_t last_hash;
  };
  bucket bucket_at(std::uint64_t position) const noexcept;

  std::size_t size() const noexcept { return size_; }
  std::size_t buckets() const noexcept { return (std::size_t{1} << bits_) + split_; }
  // Bytes of memory it takes.
  std::size_t bytes() const noexcept;

  // More than one record a bucket: time to split one.
  bool crowded() const noexcept { return size_ > buckets() && bits_ < bits_max; }
  // Under a quarter of that: time to merge one.
  bool sparse() const noexcept { return buckets() > bits_min_buckets && size_ < buckets() / 4; }
  // Bytes that the next grow() allocates; mostly 0.
  std::size_t growth_bytes() const noexcept;
  // One step. False: no memory, nothing changed.
  bool grow() noexcept;
  bool shrink() noexcept;

 private:
  static constexpr unsigned segment_bits = 9;
  static constexpr std::size_t segment_mask = (std::size_t{1} << segment_bits) - 1;
  static constexpr unsigned bits_max = 40;
  static constexpr std::size_t bits_min_buckets = std::size_t{1} << segment_bits;
  using segment = std::array<record*, segment_mask + 1>;
  using directory = std::vector<std::unique_ptr<segment>>;

  static record*& at(const directory& d, std::size_t i) noexcept {
    return (*d[i >> segment_bits])[i & segment_mask];
  }
  record*& head(std::uint64_t hash) const noexcept {
    const std::size_t i = hash >> (64 - bits_);
    return i < split_ ? at(upper_, hash >> (63 - bits_)) : at(lower_, i);
  }
  record** link_to(std::uint64_t hash, const record* r) const noexcept;
  // Sees to the directory's segment of bucket i.
  bool have_segment(directory& d, std::size_t i) noexcept;

  unsigned bits_ = segment_bits;
  std::size_t split_ = 0;  // buckets below it are in upper_
  directory lower_;        // 2^bits buckets
  directory upper_;        // 2^(bits+1) buckets; empty between two doublings
  std::size_t segments_ = 0;
  std::size_t size_ = 0;
};

}  // namespace tandem::engine
