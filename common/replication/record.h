// One state of a key as it travels between nodes, and the flush_all register that travels beside.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/base/version.h"
#include "common/engine/item.h"

namespace tandem::replication {

enum class record_kind : std::uint8_t {
  value,
  tombstone,
  // "I know of this state (meta.stored, meta.touched) and have the key no more": evicted or expired
  // before it could be sent, or refused by a floor. The receiver drops an older state and keeps an
  // equal or newer one, so an eviction here never erases the same value there.
  gone,
  // "I hold a value of version meta.stored", without it: for a peer whose news of what it dropped
  // may not all have come.
  held,
};

// Values of at least this many bytes travel in pieces of their own.
constexpr std::size_t streamed_value_min = std::size_t{16} << 10;

// Borrowed: key and value are valid for the call that gets the record. The value's bytes are those
// of `large`, if there is one, and then those of `value`.
struct record {
  record_kind kind = record_kind::value;
  std::string_view key;
  engine::item_meta meta;
  // The item is gone so much later than meta.exptime, in 1/256 s: a hint, for a clock whose seconds
  // begin at other moments than ours (backend/clock.h). It is no part of the state.
  std::int8_t exptime_part = 0;
  std::string_view value;
  engine::large_ref large;

  std::size_t value_size() const { return (large ? large->size() : 0) + value.size(); }
  // The contiguous bytes of the value from `offset` < value_size() on.
  std::string_view piece_at(std::size_t offset) const {
    return engine::piece_of(large.get(), value, offset);
  }
};

// flush_all as state. `watermark` only rises; the pending one (flush_all with a delay) belongs to
// the flush_all issued last on either node.
struct flush_state {
  version watermark;             // values stored at or below it are gone
  version pending_issued;        // of the last flush_all; orders pending registers
  std::uint32_t pending_at = 0;  // Unix seconds when everything stored before goes; 0: none
  friend bool operator==(const flush_state&, const flush_state&) = default;
};

// Numbers the states that a node's register goes through: both words only rise, so the state with
// the larger number is the later one.
constexpr std::uint64_t number_of(const flush_state& f) noexcept {
  return f.watermark.word() + f.pending_issued.word();
}

}  // namespace tandem::replication
