// One state of a key as it travels between nodes, and the flush_all register that travels beside.
#pragma once

#include <string_view>

#include "common/base/version.h"
#include "common/engine/item.h"

namespace tandem::replication {

enum class record_kind : std::uint8_t {
  value,
  tombstone,
  // "I know of version meta.stored and have the key no more": evicted or expired before it could be
  // sent, or refused by a floor. The receiver drops an older state and keeps an equal or newer one,
  // so an eviction here never erases the same value there.
  gone,
};

// Borrowed: key, value and large_view are valid for the call that gets the record.
struct record {
  record_kind kind = record_kind::value;
  std::string_view key;
  engine::item_meta meta;
  std::string_view value;   // small values
  engine::large_ref large;  // large ones
};

// flush_all as state. `watermark` only rises; the pending one (flush_all with a delay) belongs to
// the flush_all issued last on either node.
struct flush_state {
  version watermark;             // values stored at or below it are gone
  version pending_issued;        // of the last flush_all; orders pending registers
  std::uint32_t pending_at = 0;  // Unix seconds when everything stored before goes; 0: none
  friend bool operator==(const flush_state&, const flush_state&) = default;
};

}  // namespace tandem::replication
