// An item as it lies in memory: one malloc'ed block of a header, the key, and the value or a
// reference to a large one. Its links thread it into its index bucket and into one queue (sieve.h);
// whoever links it unlinks it. Private to the engine.
//
// The tail, unpadded:  [large_value* 8]  key  [inline value]  [touch version 8]
// The touch version is there only once an item was touched: most never are, and 8 bytes are 5 % of
// a small item. At the end it can be added without moving anything if the block has room.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/engine/item.h"

namespace tandem::engine {

constexpr std::size_t large_pointer_bytes = sizeof(void*);

struct record {
  record* chain = nullptr;  // the next in its bucket
  record* newer = nullptr;  // its neighbours in its queue
  record* older = nullptr;
  version stored;
  std::uint32_t exptime = 0;
  std::uint32_t last_access = 0;
  std::uint32_t flags = 0;
  std::uint16_t value_size = 0;  // of an inline value
  std::uint8_t key_size = 0;
  std::uint8_t bits = 0;  // below; the item's marks from marks_shift on

  static constexpr std::uint8_t tombstone = 1;
  static constexpr std::uint8_t has_large = 2;
  static constexpr std::uint8_t has_touched = 4;
  static constexpr std::uint8_t visited = 8;   // read since the eviction hand passed
  static constexpr std::uint8_t fetched = 16;  // read since it was stored
  static constexpr unsigned marks_shift = 5;

  // Bytes to allocate for one.
  static constexpr std::size_t bytes_for(std::size_t key_size, std::size_t inline_size, bool large,
                                         bool touched) noexcept {
    return sizeof(record) + (large ? large_pointer_bytes : 0) + key_size + inline_size +
           (touched ? sizeof(version) : 0);
  }
  // Bytes that are written, of those allocated.
  std::size_t bytes() const noexcept {
    return bytes_for(key_size, value_size, is(has_large), is(has_touched));
  }

  bool is(std::uint8_t bit) const noexcept { return (bits & bit) != 0; }
  item_kind kind() const noexcept {
    return is(tombstone) ? item_kind::tombstone : item_kind::value;
  }
  std::string_view key() const noexcept { return {key_begin(), key_size}; }
  std::string_view value() const noexcept { return {key_begin() + key_size, value_size}; }
  large_value* large() const noexcept;
  version touched() const noexcept;
  // The version of the last change of any kind.
  version changed() const noexcept;
  item_meta meta() const noexcept;
  item_view view() const noexcept;

  // Writes everything but the links: `value` inline, or `large`, whose one reference passes to the
  // record. The block must have bytes_for() them; `key` and `value` must not lie in it.
  void assign(std::string_view key, const item_meta& meta, std::string_view value, large_ref large,
              std::uint32_t now) noexcept;
  // Changes the meta alone. Adding a touch version takes 8 bytes more of the block.
  void set_meta(const item_meta& meta) noexcept;
  // Takes the reference out; null if the value is not large. The record must then be assigned anew
  // or freed.
  large_ref take_large() noexcept;

 private:
  char* tail() noexcept { return reinterpret_cast<char*>(this + 1); }
  const char* tail() const noexcept { return reinterpret_cast<const char*>(this + 1); }
  const char* key_begin() const noexcept {
    return tail() + (is(has_large) ? large_pointer_bytes : 0);
  }
};
static_assert(sizeof(record) == 48);
static_assert(large_value_min <= UINT16_MAX, "an inline value's size is kept in 16 bits");

// A default record in a block of at least `bytes` bytes; null if there is no memory.
record* allocate_record(std::size_t bytes) noexcept;
// Frees the block alone: its links and its large value are the caller's to see to.
void free_record(record* r) noexcept;
// Bytes of the block that may be written.
std::size_t record_capacity(const record* r) noexcept;
// Bytes of memory the block takes, malloc's header included; and at most, for one yet to be
// allocated (glibc's malloc; with another the shard settles afterwards).
std::size_t record_memory(const record* r) noexcept;
constexpr std::size_t record_memory_max(std::size_t bytes) noexcept {
  return (bytes + 8 + 15) / 16 * 16 + 16;
}

}  // namespace tandem::engine
