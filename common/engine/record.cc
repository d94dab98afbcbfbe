#include "common/engine/record.h"

#include <malloc.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace tandem::engine {

namespace {

std::uint8_t meta_bits(const item_meta& meta) noexcept {
  unsigned bits = static_cast<unsigned>(meta.marks & mark::all) << record::marks_shift;
  if (meta.kind == item_kind::tombstone) bits |= record::tombstone;
  if (meta.touched) bits |= record::has_touched;
  return static_cast<std::uint8_t>(bits);
}

}  // namespace

large_value* record::large() const noexcept {
  if (!is(has_large)) return nullptr;
  large_value* value;
  std::memcpy(&value, tail(), large_pointer_bytes);
  return value;
}

version record::touched() const noexcept {
  if (!is(has_touched)) return {};
  std::uint64_t word;
  std::memcpy(&word, key_begin() + key_size + value_size, sizeof word);
  return version(word);
}

version record::changed() const noexcept {
  const version t = touched();
  return t > stored ? t : stored;
}

item_meta record::meta() const noexcept {
  return {.stored = stored,
          .touched = touched(),
          .flags = flags,
          .exptime = exptime,
          .kind = kind(),
          .marks = static_cast<std::uint8_t>(bits >> marks_shift)};
}

item_view record::view() const noexcept {
  return {.key = key(),
          .meta = meta(),
          .value = value(),
          .large = large(),
          .last_access = last_access,
          .fetched = is(fetched)};
}

void record::assign(std::string_view key, const item_meta& meta, std::string_view value,
                    large_ref large, std::uint32_t now) noexcept {
  bits = large ? has_large : 0;
  value_size = static_cast<std::uint16_t>(value.size());
  key_size = static_cast<std::uint8_t>(key.size());
  last_access = now;
  char* at = tail();
  if (large) {
    large_value* raw = large.detach();
    std::memcpy(at, &raw, large_pointer_bytes);
    at += large_pointer_bytes;
  }
  if (!key.empty()) std::memcpy(at, key.data(), key.size());
  if (!value.empty()) std::memcpy(at + key.size(), value.data(), value.size());
  set_meta(meta);
}

void record::set_meta(const item_meta& meta) noexcept {
  stored = meta.stored;
  exptime = meta.exptime;
  flags = meta.flags;
  bits = static_cast<std::uint8_t>((bits & (has_large | visited | fetched)) | meta_bits(meta));
  if (meta.touched) {
    const std::uint64_t word = meta.touched.word();
    char* at = tail() + (is(has_large) ? large_pointer_bytes : 0) + key_size + value_size;
    std::memcpy(at, &word, sizeof word);
  }
}

large_ref record::take_large() noexcept {
  large_ref value(large(), false);
  return value;
}

record* allocate_record(std::size_t bytes) noexcept {
  void* memory = std::malloc(bytes);
  return memory == nullptr ? nullptr : new (memory) record;
}

void free_record(record* r) noexcept {
  std::free(r);
}

std::size_t record_capacity(const record* r) noexcept {
  return malloc_usable_size(const_cast<record*>(r));
}

std::size_t record_memory(const record* r) noexcept {
  return record_capacity(r) + 8;
}

}  // namespace tandem::engine
