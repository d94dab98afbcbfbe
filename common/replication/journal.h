// What a shard changed and when, so that a peer can be told: a bounded ring of (versions, key). It
// holds keys, not values: the value is looked up when it is sent, so memory stays constant however
// slow the peer is, a hot key ships once however often it changed, and an evicted value ships
// nothing but the news that older states are void.
//
// An entry is current iff the item's changed() version equals its own; a stale entry is skipped,
// because a later one names the key again. Versions of local changes rise along the journal; news
// about what was dropped earlier carries its old version. Not thread-safe: guarded by the shard's
// lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "common/base/version.h"

namespace tandem::replication {

class journal {
 public:
  // The number of an entry, from 0; `end()` is the next to be written.
  using position = std::uint64_t;

  // A state of a key, by its versions.
  struct entry {
    version stored, touched;  // as an item's
    std::string_view key;
    version changed() const { return touched > stored ? touched : stored; }
    std::size_t bytes() const;
  };

  // limit_bytes: what the entries may take before the oldest are dropped; at least one chunk.
  explicit journal(std::size_t limit_bytes);

  // Nothing is kept until somebody will read it: appends before start() only count positions.
  void start();
  // Forgets all entries and records no more, until start().
  void stop();
  bool recording() const noexcept { return recording_; }

  void append(version stored, std::string_view key, version touched = {});
  position begin() const noexcept { return begin_; }  // the oldest entry kept
  position end() const noexcept { return end_; }
  // Drops entries before `upto`.
  void trim(position upto);

  // Visits entries from `from` (begin() <= from <= end()) while `visit(entry)` returns true;
  // returns the position after the last one visited.
  template <class Visit>
  position read(position from, Visit&& visit) const;

  // What the entries take, in bytes; grows and shrinks by whole chunks.
  std::size_t bytes() const noexcept { return chunks_.size() * chunk_bytes; }
  std::size_t limit() const noexcept { return limit_bytes_; }

 private:
  // Entries lie one behind another in chunks: stored 8, key length 1, if touched that 8, key.
  // Versions leave the top bit of their word free: it says that there is a touch.
  static constexpr std::size_t chunk_bytes = 16 * 1024;
  static constexpr std::size_t entry_overhead = sizeof(std::uint64_t) + 1;
  static constexpr std::size_t touch_bytes = sizeof(std::uint64_t);

  struct chunk {
    position first = 0;  // of its first entry
    position count = 0;
    std::string bytes;  // reserved to chunk_bytes
  };

  static entry entry_at(const chunk& c, std::size_t offset);

  const std::size_t limit_bytes_;
  bool recording_ = false;
  position begin_ = 0;
  position end_ = 0;
  std::deque<chunk> chunks_;
  // Where the last read ended: a position and its offset in its chunk, where the next one goes on
  // without counting entries. A position is never another entry's.
  struct mark {
    position at = 0;
    std::size_t offset = 0;
  };
  mutable mark stopped_;
};

template <class Visit>
journal::position journal::read(position from, Visit&& visit) const {
  for (const chunk& c : chunks_) {
    if (c.first + c.count <= from) continue;
    const bool goes_on = stopped_.at == from && from > c.first;
    std::size_t offset = goes_on ? stopped_.offset : 0;
    for (position at = goes_on ? from : c.first; at < c.first + c.count; ++at) {
      const entry e = entry_at(c, offset);
      if (at >= from) {
        if (!visit(e)) {
          stopped_ = {at, offset};
          return at;
        }
        from = at + 1;
      }
      offset += e.bytes();
    }
    stopped_ = {from, offset};
  }
  return from;
}

}  // namespace tandem::replication
