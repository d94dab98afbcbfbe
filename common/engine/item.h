// What the engine stores under a key, and the views of it that others get. An item is the state of
// one key: a value, or the tombstone a delete leaves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/version.h"
#include "common/engine/large_value.h"

namespace tandem::engine {

constexpr std::size_t key_size_max = 250;  // memcached's limit, in bytes

enum class item_kind : std::uint8_t { value, tombstone };

// Marks of the meta protocol, stored with the item and replicated with it (a bit set).
namespace mark {
constexpr std::uint8_t stale = 1;       // invalidated by `md I`, kept for readers until refreshed
constexpr std::uint8_t win_sent = 2;    // one client has been told to recache it
constexpr std::uint8_t binary_key = 4;  // stored through a base64 key
constexpr std::uint8_t own_cas = 8;     // its CAS unique is the one that a client gave it
constexpr std::uint8_t all = 15;
}  // namespace mark

// Everything about an item but its key and value.
struct item_meta {
  version stored{};           // of the last store or delete: the CAS unique, if there is no own
  version touched{};          // of the last touch after that; none (0) if there was none
  std::uint32_t flags = 0;    // the client's, opaque
  std::uint32_t exptime = 0;  // absolute Unix seconds at which it is gone; 0: never
  item_kind kind = item_kind::value;
  std::uint8_t marks = 0;
  std::uint64_t cas = 0;  // with mark::own_cas: the CAS unique; it orders nothing

  bool has_own_cas() const { return (marks & mark::own_cas) != 0; }
  // What clients see and compare.
  std::uint64_t cas_unique() const { return has_own_cas() ? cas : stored.word(); }
  // The version of the last change of any kind: what a journal entry names.
  version changed() const { return touched > stored ? touched : stored; }
  friend bool operator==(const item_meta&, const item_meta&) = default;
};

// Of a value whose bytes are those of `large`, if not null, and then those of `rest`: the
// contiguous bytes from `offset` on, which is less than its size.
inline std::string_view piece_of(const large_value* large, std::string_view rest,
                                 std::size_t offset) {
  const std::size_t large_size = large ? large->size() : 0;
  return offset < large_size ? large->extent_at(offset) : rest.substr(offset - large_size);
}

// A look at a stored item. Valid while the shard's lock is held and until the next call that
// changes the shard. The value's bytes are those of `large`, if there is one (it may be kept past
// the lock), and then those of `value`.
struct item_view {
  std::string_view key;
  item_meta meta;
  std::string_view value;
  const large_value* large = nullptr;
  std::uint32_t last_access = 0;  // Unix seconds
  bool fetched = false;           // read since it was stored

  std::size_t value_size() const { return (large ? large->size() : 0) + value.size(); }
  // The contiguous bytes of the value from `offset` < value_size() on.
  std::string_view piece_at(std::size_t offset) const { return piece_of(large, value, offset); }
};

}  // namespace tandem::engine
