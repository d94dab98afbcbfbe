// An item as it lies in a log segment, packed to multiples of 4 bytes. Private to the engine.
//
//   header 20 | [client flags 4] [touch version 8] [CAS unique 8] [large_value* 8] | key |
//   inline value | padding
//
// What is in brackets is there only if it is needed: most items have no flags, were never touched,
// have no CAS unique but their version and are small. The inline value is the whole value, or the
// tail of a large one.
//
// A stretch that holds no record, where a shorter one was put in a longer one's place, is a gap: a
// first word with key_size 0 and its bytes as value_size.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/engine/item.h"

namespace tandem::engine {

struct record {
  static constexpr unsigned frequency_max = 3;

  std::uint32_t value_size : 12;  // of the inline value
  std::uint32_t key_size : 8;     // 0: a gap
  std::uint32_t frequency : 2;    // reads since it was stored, or moved by the eviction; at most 3
  std::uint32_t dead : 1;         // nothing refers to it any more
  std::uint32_t tombstone : 1;
  std::uint32_t has_flags : 1;
  std::uint32_t has_touched : 1;
  std::uint32_t has_large : 1;
  std::uint32_t fetched : 1;  // read since it was stored
  std::uint32_t marks : 4;    // with mark::own_cas the CAS unique is there
  std::uint32_t exptime;
  std::uint32_t last_access;
  std::uint32_t stored_low, stored_high;

  // Which of the optional fields there are, but for the large value.
  struct layout {
    bool flags = false, touched = false, cas = false;
  };
  // Bytes that a record takes.
  static std::size_t bytes_for(std::size_t key_size, std::size_t inline_size, layout fields,
                               bool large) noexcept {
    const std::size_t bytes = sizeof(record) + (fields.flags ? 4 : 0) + (fields.touched ? 8 : 0) +
                              (fields.cas ? 8 : 0) + (large ? 8 : 0) + key_size + inline_size;
    return (bytes + 3) & ~std::size_t{3};
  }
  // Bytes that this record or gap takes.
  std::size_t bytes() const noexcept {
    if (is_gap()) return value_size;
    return bytes_for(key_size, value_size, fields(), has_large);
  }

  // What its frequency is after one more read.
  unsigned raised() const noexcept {
    return frequency < frequency_max ? (frequency + 1U) & frequency_max : frequency_max;
  }
  bool is_gap() const noexcept { return key_size == 0; }
  bool has_cas() const noexcept { return (marks & mark::own_cas) != 0; }
  layout fields() const noexcept { return {has_flags != 0, has_touched != 0, has_cas()}; }
  item_kind kind() const noexcept { return tombstone ? item_kind::tombstone : item_kind::value; }
  version stored() const noexcept { return version(std::uint64_t{stored_high} << 32 | stored_low); }
  std::string_view key() const noexcept { return {key_begin(), key_size}; }
  std::string_view value() const noexcept { return {key_begin() + key_size, value_size}; }
  large_value* large() const noexcept;
  version touched() const noexcept;
  // The version of the last change of any kind.
  version changed() const noexcept;
  item_meta meta() const noexcept;
  item_view view() const noexcept;
  // Of the large value, that is besides the record.
  std::size_t large_bytes() const noexcept {
    return has_large ? large_value::footprint(large()->size()) : 0;
  }

  // Whether set_meta() would do without moving what follows the optional fields.
  bool holds(const item_meta& meta) const noexcept {
    return (has_flags || meta.flags == 0) && (has_touched || !meta.touched) &&
           has_cas() == meta.has_own_cas();
  }

  // Writes everything: the optional fields that `fields` has (the CAS unique if the meta has one),
  // `value` inline, and `large`, whose one reference passes to the record. The place must have
  // bytes_for() them; key and value must not lie in it.
  void assign(layout fields, std::string_view key, const item_meta& meta, std::string_view value,
              large_ref large, std::uint32_t now) noexcept;
  // Changes the meta alone; holds(meta).
  void set_meta(const item_meta& meta) noexcept;
  // Takes the reference out; null if the value is not large. The record is then dead, or to be
  // assigned anew.
  large_ref take_large() noexcept;
  void make_gap(std::size_t bytes) noexcept;

 private:
  char* tail() noexcept { return reinterpret_cast<char*>(this + 1); }
  const char* tail() const noexcept { return reinterpret_cast<const char*>(this + 1); }
  std::size_t touched_at() const noexcept { return has_flags ? 4 : 0; }
  std::size_t cas_at() const noexcept { return touched_at() + (has_touched ? 8 : 0); }
  std::size_t large_at() const noexcept { return cas_at() + (has_cas() ? 8 : 0); }
  std::size_t key_at() const noexcept { return large_at() + (has_large ? 8 : 0); }
  const char* key_begin() const noexcept { return tail() + key_at(); }
};
static_assert(sizeof(record) == 20 && alignof(record) == 4);
static_assert(key_size_max < 256 && large_value_min <= 4096);

// The longest record.
constexpr std::size_t record_bytes_max = sizeof(record) + 28 + 252 + large_value_min;

}  // namespace tandem::engine
