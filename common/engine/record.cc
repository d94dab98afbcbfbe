#include "common/engine/record.h"

#include <cstring>
#include <utility>

namespace tandem::engine {

large_value* record::large() const noexcept {
  if (!has_large) return nullptr;
  large_value* value;
  std::memcpy(&value, tail() + large_at(), sizeof(void*));
  return value;
}

version record::touched() const noexcept {
  if (!has_touched) return {};
  std::uint64_t word;
  std::memcpy(&word, tail() + touched_at(), sizeof word);
  return version(word);
}

version record::changed() const noexcept {
  const version t = touched();
  return t > stored() ? t : stored();
}

item_meta record::meta() const noexcept {
  item_meta meta{.stored = stored(),
                 .touched = touched(),
                 .flags = 0,
                 .exptime = exptime,
                 .kind = kind(),
                 .marks = static_cast<std::uint8_t>(marks),
                 .cas = 0};
  if (has_flags) std::memcpy(&meta.flags, tail(), sizeof meta.flags);
  if (has_cas()) std::memcpy(&meta.cas, tail() + cas_at(), sizeof meta.cas);
  return meta;
}

item_view record::view() const noexcept {
  return {.key = key(),
          .meta = meta(),
          .value = value(),
          .large = large(),
          .last_access = last_access,
          .fetched = fetched != 0};
}

void record::assign(layout fields, std::string_view key, const item_meta& meta,
                    std::string_view value, large_ref large, std::uint32_t now) noexcept {
  value_size = static_cast<std::uint32_t>(value.size()) & 0xfffU;
  key_size = static_cast<std::uint32_t>(key.size()) & 0xffU;
  frequency = dead = fetched = 0;
  tombstone = meta.kind == item_kind::tombstone;
  has_flags = fields.flags;
  has_touched = fields.touched;
  has_large = static_cast<bool>(large);
  marks = meta.marks & mark::all;  // before any field behind the CAS unique is placed
  last_access = now;
  if (large) {
    large_value* raw = large.detach();
    std::memcpy(tail() + large_at(), &raw, sizeof(void*));
  }
  char* const at = tail() + key_at();
  std::memcpy(at, key.data(), key.size());
  if (!value.empty()) std::memcpy(at + key.size(), value.data(), value.size());
  set_meta(meta);
}

void record::set_meta(const item_meta& meta) noexcept {
  const std::uint64_t word = meta.stored.word();
  stored_low = static_cast<std::uint32_t>(word);
  stored_high = static_cast<std::uint32_t>(word >> 32);
  exptime = meta.exptime;
  marks = meta.marks & mark::all;
  if (has_flags) std::memcpy(tail(), &meta.flags, sizeof meta.flags);
  if (has_touched) {
    const std::uint64_t touched_word = meta.touched.word();
    std::memcpy(tail() + touched_at(), &touched_word, sizeof touched_word);
  }
  if (has_cas()) std::memcpy(tail() + cas_at(), &meta.cas, sizeof meta.cas);
}

large_ref record::take_large() noexcept {
  return {large(), false};
}

void record::make_gap(std::size_t bytes) noexcept {
  key_size = 0;
  dead = 1;
  value_size = static_cast<std::uint32_t>(bytes) & 0xfffU;
}

}  // namespace tandem::engine
