// Where the records lie: segments of equal size in one region, each part of one log, appended to at
// the log's new end and read again, for eviction, at its old end. A log is a FIFO of segments; the
// records of an old segment may be taken out in any order, and it is free when none is left.
// Private to the engine; owns the memory, not what records refer to.
//
// A record's address is its offset in the region in units of 4 bytes, so one shard's records take
// at most 16 GiB.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "common/engine/record.h"
#include "common/engine/region.h"

namespace tandem::engine {

// The values of a shard are kept apart by size, so that one of 100 KB competes with others like it,
// and what is evicted for a record of 100 bytes are records of about its size.
constexpr unsigned bands = 4;
constexpr std::array<std::size_t, bands - 1> band_bytes_max = {512, 4096, 32768};

// The logs: each band's small and main one, and the tombstones'.
using log_id = std::uint8_t;
constexpr log_id small_log(unsigned band) {
  return static_cast<log_id>(2 * band);
}
constexpr log_id main_log(unsigned band) {
  return static_cast<log_id>(2 * band + 1);
}
constexpr bool is_main(log_id log) {
  return log % 2 == 1;
}
constexpr unsigned band_of(log_id log) {
  return log / 2U;
}
constexpr log_id tombstone_log = 2 * bands;
constexpr std::size_t log_count = tombstone_log + 1;

constexpr std::uint32_t no_segment = UINT32_MAX;
constexpr std::uint32_t never = UINT32_MAX;

struct segment {
  std::uint32_t newer = no_segment, older = no_segment;  // its neighbours in its log
  std::uint32_t used = 0;                                // bytes from its start that were appended
  std::uint32_t live = 0;                                // of those, bytes of records in use
  std::uint64_t live_large = 0;                          // bytes of their large values
  std::uint32_t opened = 0;                              // the shard's count of stores then
  std::uint32_t opened_at = 0;                           // Unix seconds
  std::uint32_t due = never;  // Unix seconds at which a good part of it will have expired
  // Records whose expiry came to lie before that since: their bytes, and the latest of them.
  std::uint32_t early_bytes = 0, early_until = 0;
  log_id log = log_count;  // log_count: free
  bool open = false;       // records may be appended
};

class segment_log {
 public:
  struct log_state {
    std::uint32_t oldest = no_segment, newest = no_segment;
    std::uint32_t refill = no_segment;  // the one that compaction fills
    std::uint32_t scanned = 0;          // bytes of the oldest that the eviction has passed
    std::uint64_t bytes = 0;            // of records in use and their large values
    std::uint64_t items = 0;
  };

  // For a shard of so many bytes. Throws std::bad_alloc.
  explicit segment_log(std::size_t memory_bytes);
  ~segment_log();
  segment_log(const segment_log&) = delete;
  segment_log& operator=(const segment_log&) = delete;

  record* at(std::uint32_t address) const noexcept {
    return reinterpret_cast<record*>(region_.base() + std::size_t{address} * 4);
  }
  std::uint32_t address_of(const record* r) const noexcept {
    return static_cast<std::uint32_t>((reinterpret_cast<const char*>(r) - region_.base()) / 4);
  }
  std::uint32_t segment_of(const record* r) const noexcept {
    return static_cast<std::uint32_t>(
        static_cast<std::size_t>(reinterpret_cast<const char*>(r) - region_.base()) >> shift_);
  }
  // Where in its segment it lies.
  std::uint32_t offset_of(const record* r) const noexcept {
    return static_cast<std::uint32_t>(
        static_cast<std::size_t>(reinterpret_cast<const char*>(r) - region_.base()) &
        (segment_bytes() - 1));
  }
  // The record at `offset` < used of a segment.
  record* record_at(std::uint32_t number, std::uint32_t offset) const noexcept {
    return reinterpret_cast<record*>(region_.base() + (std::size_t{number} << shift_) + offset);
  }
  segment& operator[](std::uint32_t number) noexcept { return segments_[number]; }
  const segment& operator[](std::uint32_t number) const noexcept { return segments_[number]; }
  const log_state& log(log_id log) const noexcept { return logs_[log]; }
  std::uint32_t segment_count() const noexcept {
    return static_cast<std::uint32_t>(segments_.size());
  }
  std::size_t segment_bytes() const noexcept { return std::size_t{1} << shift_; }

  // --- appending
  bool fits(log_id log, std::size_t bytes) const noexcept;
  // The log's open segment is closed and a new one opened. False: there is no memory.
  bool open(log_id log, std::uint32_t stores, std::uint32_t now) noexcept;
  // Room for a record; it must fit.
  record* append(log_id log, std::size_t bytes) noexcept {
    return append_to(logs_[log].newest, bytes);
  }
  // The same for what is compacted: that keeps about its place in the log, in a segment opened in
  // front of the one it comes from (or from which others came before).
  bool refill_fits(log_id log, std::size_t bytes) const noexcept;
  bool open_refill(std::uint32_t victim) noexcept;
  record* refill(log_id log, std::size_t bytes) noexcept {
    return append_to(logs_[log].refill, bytes);
  }
  // A record was written, or is dead: the books. Those of a record that is moved or changed too.
  void add(const record& r) noexcept;
  void remove(const record& r) noexcept;
  // Bytes from the beginning of a record to the next: its own, and of gaps behind it.
  std::size_t room_of(const record& r) const noexcept;
  // Frees the segment of a record that was removed, if that was its last. True: it was freed.
  bool settle(std::uint32_t number) noexcept;
  void pass(log_id log, std::uint32_t bytes) noexcept { logs_[log].scanned += bytes; }

  // --- memory
  std::uint32_t free_segments() const noexcept { return static_cast<std::uint32_t>(free_.size()); }
  // Gives one free segment back to the kernel. False: there is none.
  bool release_one() noexcept;
  // Bytes of memory that opening a segment takes; 0 if one is free.
  std::size_t growth() const noexcept;
  // Bytes of the segments that could be opened with `memory` bytes, which free ones are part of.
  std::size_t openable_bytes(std::size_t memory) const noexcept;
  // Bytes of memory taken: segments in use, free ones that are still memory, the books.
  std::size_t bytes() const noexcept;
  std::size_t book_bytes() const noexcept;
  // Bytes in use by no record, in segments that are.
  std::uint64_t dead_bytes() const noexcept { return used_bytes_ - live_bytes_; }
  std::uint64_t used_bytes() const noexcept { return used_bytes_; }
  // Bytes appended to the segments that are open.
  std::uint64_t open_bytes() const noexcept { return open_bytes_; }
  // Bytes of the large values that records refer to.
  std::uint64_t large_bytes() const noexcept { return large_bytes_; }
  // The closed segment with most dead bytes; no_segment: none has any.
  std::uint32_t deadest() const noexcept;

  bool consistent() const;

 private:
  bool has_room(std::uint32_t number, std::size_t bytes) const noexcept;
  record* append_to(std::uint32_t number, std::size_t bytes) noexcept;
  std::uint32_t take_slot() noexcept;
  void close(std::uint32_t number) noexcept;
  void unlink(std::uint32_t number) noexcept;

  unsigned shift_;  // segment_bytes() is 1 << shift_
  region region_;
  std::size_t step_;  // slots that are taken at once: as many as one step of the region holds
  std::vector<segment> segments_;    // of every slot that was ever used
  std::vector<std::uint32_t> free_;  // slots that are memory and in no log
  std::vector<std::uint32_t> cold_;  // slots given back to the kernel
  std::array<log_state, log_count> logs_;
  std::uint64_t used_bytes_ = 0, live_bytes_ = 0, large_bytes_ = 0, open_bytes_ = 0;
};

}  // namespace tandem::engine
