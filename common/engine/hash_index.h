// The index of a shard: from a key's hash to the address of its record (segment_log.h), about 8
// bytes an item, one cache line a look-up, growing a page of 4 KiB at a time.
//
// A page has 60 buckets and 4 more for what overflows. A bucket is one cache line: 12 tags (8 bits
// of the hash each), 12 addresses. A record lies in its home bucket, else in the next one, else in
// the overflow; if there is no room either, the page splits in two. A directory leads from the top
// bits of the hash's position to the page (extendible hashing, Fagin et al., TODS 1979; pages of
// cache-line buckets as in Dash, Lu et al., VLDB 2020).
//
// Position: the hash, stretched so that it is dense at one end and half as dense at the other (the
// idea of Martin's spiral storage, 1979). Pages then fill up and split at different times, and the
// index takes the same share of memory at any number of items, not one that swings by two. It keeps
// the order of hashes, so a position is a place to go on walking from, whatever split or merged
// meanwhile.
//
// An empty slot remembers who left it: the top 32 bits of the position of an evicted record (a
// ghost, see shard.h). So what the eviction remembers costs no memory.
//
// Private to the engine. Owns its memory, no record; reads keys through the segment_log.
// prefetch_bucket() may be called by any thread at any time; all else by one at a time.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/engine/segment_log.h"

namespace tandem::engine {

class hash_index {
 public:
  // Throws std::bad_alloc. `memory_bytes`: of the shard. `records` outlives the index.
  hash_index(std::size_t memory_bytes, const segment_log& records);

  // `hash` is hash_key(key) here and below. Null: there is none.
  record* find(std::uint64_t hash, std::string_view key) const noexcept;
  // Whether insert() would find room without growing.
  bool has_room(std::uint64_t hash) const noexcept;
  // The key must not be there and has_room().
  void insert(std::uint64_t hash, const record* r) noexcept;
  // The record must be there, for these.
  void replace(std::uint64_t hash, const record* r, const record* with) noexcept;
  void erase(std::uint64_t hash, const record* r, bool remember) noexcept;
  // Whether a record of that hash was erased and remembered; forgets it.
  bool take_ghost(std::uint64_t hash) noexcept;

  // Brings the bucket, and then the record, into the cache.
  void prefetch_bucket(std::uint64_t hash) const noexcept;
  void prefetch_record(std::uint64_t hash) const noexcept;

  // Splits the page of `hash`. False: there is no memory, or it cannot be split further.
  bool split(std::uint64_t hash) noexcept;
  // Bytes that a split takes at most.
  std::size_t split_bytes() const noexcept;
  // Few items are left for so many pages.
  bool sparse() const noexcept;
  // Looks at one pair of pages, going round, and merges it if the two fit well into one; true if
  // so.
  bool merge_next() noexcept;
  // Merges what can be. Takes time in the number of pages.
  void merge_all() noexcept;

  // Calls visit(record) for the records of the page at `position` whose home is a bucket, one of
  // home_buckets. Which one that is never changes, and pages split and merge by position, so going
  // through the buckets of one page after the other finds whatever stays.
  template <class Visitor>
  void visit_home(std::uint64_t position, unsigned bucket, const Visitor& visit) const;
  // Does not fall where the hash rises.
  std::uint64_t position_of(std::uint64_t hash) const noexcept;
  // The first position after the page at `position`; 0 at the end.
  std::uint64_t page_end(std::uint64_t position) const noexcept;
  // Bits of the position that all records of its page share: rises when the page splits, falls when
  // it is merged with another.
  unsigned depth_at(std::uint64_t position) const noexcept {
    return facts_[page_number(position)].depth;
  }
  static constexpr unsigned home_buckets = 60;
  static constexpr std::size_t bytes_min = 2 * page_bytes;  // of an empty one

  std::size_t size() const noexcept { return size_; }
  std::size_t bytes() const noexcept;
  // Whether every record is where find() looks for it, by a look at everything.
  bool consistent() const;

 private:
  static constexpr unsigned slots = 12;
  static constexpr unsigned overflow_buckets = 4;

  struct alignas(64) bucket {
    std::array<std::uint8_t, slots> tags;
    std::uint16_t live : 12;  // a bit for each slot that has a record
    std::uint16_t hand : 4;   // the slot whose ghost goes next
    std::uint8_t next_door;   // records at home here that lie in the next bucket
    std::uint8_t overflowed;  // and in the overflow buckets
    std::array<std::uint32_t, slots> addresses;
  };
  static_assert(sizeof(bucket) == 64);
  struct page {
    std::array<bucket, home_buckets + overflow_buckets> buckets;
  };
  static_assert(sizeof(page) == page_bytes);

  // Of the page with the same number.
  struct page_facts {
    std::uint16_t records = 0;
    std::uint8_t depth = 0;  // bits of the position that all its records share
  };
  struct slot_ref {
    bucket* in = nullptr;
    unsigned slot = 0;
  };

  static unsigned home_of(std::uint64_t hash) noexcept {
    return static_cast<unsigned>((hash >> 8 & 0xffffffffU) * home_buckets >> 32);
  }
  static std::uint8_t tag_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint8_t>(hash >> 8);
  }
  std::uint32_t page_number(std::uint64_t position) const noexcept {
    return directory_[position >> (64 - bits_)].load(std::memory_order_relaxed);
  }
  page& page_at(std::uint32_t number) const noexcept {
    return reinterpret_cast<page*>(pages_.base())[number];
  }
  static unsigned matches(const bucket& b, std::uint8_t tag) noexcept;
  record* match(const bucket& b, std::uint8_t tag, std::string_view key) const noexcept;
  static slot_ref free_slot(bucket& b) noexcept;
  bool page_has_room(const page& p, unsigned home) const noexcept;
  void put(page& p, std::uint64_t hash, std::uint32_t address) noexcept;
  slot_ref locate(std::uint64_t hash, std::uint32_t address) const noexcept;
  static void haunt(bucket& b, std::uint8_t tag, std::uint32_t ghost) noexcept;
  std::uint64_t hash_of(std::uint32_t address) const noexcept;
  void prefetch_keys(const bucket& b) const noexcept;
  void prefetch_keys(const page& p) const noexcept;
  void bring_home(page& p) noexcept;
  bool double_directory() noexcept;
  void point(std::uint64_t position, unsigned depth, std::uint32_t number) noexcept;
  bool new_page(std::uint32_t& number) noexcept;

  const segment_log& records_;
  region pages_;
  region directory_region_;
  std::atomic<std::uint32_t>* directory_;  // page numbers, by the first bits_ of the position
  std::atomic<unsigned> bits_;
  std::vector<page_facts> facts_;    // of every page number ever used
  std::vector<std::uint32_t> free_;  // page numbers given back to the kernel
  std::size_t size_ = 0;
  std::uint64_t merge_at_ = 0;  // a position
};

template <class Visitor>
void hash_index::visit_home(std::uint64_t position, unsigned home, const Visitor& visit) const {
  const page& p = page_at(page_number(position));
  const bucket& own = p.buckets[home];
  // Those displaced from the bucket before lie in this one, from this one in others.
  const bool strangers = p.buckets[(home + home_buckets - 1) % home_buckets].next_door != 0;
  prefetch_keys(p.buckets[(home + 1) % home_buckets]);
  const auto look = [&](const bucket& b, bool any_home) {
    for (unsigned left = b.live; left != 0; left &= left - 1) {
      const std::uint32_t address = b.addresses[static_cast<unsigned>(std::countr_zero(left))];
      if (any_home && home_of(hash_of(address)) != home) continue;
      visit(records_.at(address));
    }
  };
  look(own, strangers);
  if (own.next_door != 0) look(p.buckets[(home + 1) % home_buckets], true);
  for (unsigned i = home_buckets; own.overflowed != 0 && i < p.buckets.size(); ++i)
    look(p.buckets[i], true);
}

}  // namespace tandem::engine
