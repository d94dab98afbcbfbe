#include "common/engine/shard.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "common/base/check.h"

namespace tandem::engine {

namespace {

std::size_t large_bytes_of(const record& r) noexcept {
  const large_value* large = r.large();
  return large ? large_value::footprint(large->size()) : 0;
}

// What replacing the record gives back: a large value that a reader holds stays charged.
std::size_t released_by_replacing(const record& r) noexcept {
  const large_value* large = r.large();
  return record_memory(&r) + (large && !large->shared() ? large_bytes_of(r) : 0);
}

// The record that refers to a large value.
constexpr std::size_t large_record_max =
    record_memory_max(record::bytes_for(key_size_max, 0, true, true));

// A block may hold a record of this many bytes, and is not so wide that keeping it wastes more than
// a new block would cost.
bool worth_reusing(const record& r, std::size_t bytes) noexcept {
  const std::size_t capacity = record_capacity(&r);
  return capacity >= bytes && capacity <= bytes + bytes / 4 + 16;
}

}  // namespace

shard::shard(const shard_limits& limits)
    : limits_(limits),
      floors_(limits.memory_bytes),
      unshared_floors_(limits.memory_bytes),
      large_(new large_charge) {}

shard::~shard() {
  for (auto* r = values_.oldest(); r != nullptr;) {
    r->take_large();
    free_record(std::exchange(r, r->newer));
  }
  for (auto* r = tombstones_.oldest(); r != nullptr;) free_record(std::exchange(r, r->newer));
}

// --- reading -------------------------------------------------------------------------------

std::optional<item_view> shard::find(std::uint64_t hash, std::string_view key, instant now,
                                     bool access) {
  latest_ = now;
  record* r = index_.find(hash, key);
  if (r == nullptr || r->is(record::tombstone)) return std::nullopt;
  if (is_dead(*r, now)) {
    reclaim(hash, r, now);
    return std::nullopt;
  }
  std::optional<item_view> found = r->view();
  if (access) {
    r->bits |= record::visited | record::fetched;
    r->last_access = unix_seconds(now.wall);
  }
  return found;
}

std::optional<item_view> shard::find_any(std::uint64_t hash, std::string_view key) const {
  const record* r = index_.find(hash, key);
  if (r == nullptr) return std::nullopt;
  return r->view();
}

bool shard::is_expired(const record& r, instant now) noexcept {
  return r.exptime != 0 && r.exptime <= unix_seconds(now.wall);
}

bool shard::is_dead(const record& r, instant now) const noexcept {
  return !r.is(record::tombstone) && (is_flushed(r) || is_expired(r, now));
}

bool shard::visible(const item_meta& meta, instant now) const noexcept {
  return meta.kind == item_kind::value && meta.stored > flushed_ &&
         (meta.exptime == 0 || meta.exptime > unix_seconds(now.wall));
}

// --- storing -------------------------------------------------------------------------------

bool shard::fits(std::size_t key_size, std::size_t value_size) const noexcept {
  const std::size_t max = limits_.item_size_max;
  return value_size <= max && key_size <= max && key_size + value_size + item_overhead <= max;
}

large_ref shard::reserve_large(std::size_t size, instant now) {
  latest_ = now;
  store_status status;
  return make_large(size, now, status);
}

large_ref shard::make_large(std::size_t size, instant now, store_status& status) {
  status = store_status::too_large;
  if (!fits(0, size)) return nullptr;
  const std::size_t bytes = large_value::footprint(size);
  if (fixed_bytes() + bytes + large_record_max > limits_.memory_bytes) return nullptr;
  status = store_status::out_of_memory;
  if (make_room(bytes, 0, now, nullptr)) {
    try {
      large_ref large = large_value::make(size, large_);
      status = store_status::stored;
      return large;
    } catch (const std::bad_alloc&) {  // counted like a full shard, below
    }
  }
  ++counted_.out_of_memory;
  return nullptr;
}

store_status shard::store(std::uint64_t hash, std::string_view key, const item_meta& meta,
                          std::string_view value, instant now) {
  CHECK(meta.kind == item_kind::value || value.empty());
  latest_ = now;
  if (meta.kind == item_kind::value && !fits(key.size(), value.size()))
    return store_status::too_large;
  if (value.size() < large_value_min) return put(hash, key, meta, value, nullptr, now);
  store_status status;
  large_ref large = make_large(value.size(), now, status);
  if (!large) return status;
  large->write(0, value);
  return put(hash, key, meta, {}, std::move(large), now);
}

store_status shard::store(std::uint64_t hash, std::string_view key, const item_meta& meta,
                          large_ref value, instant now) {
  CHECK(meta.kind == item_kind::value && value && value->charged_to(*large_));
  latest_ = now;
  if (!fits(key.size(), value->size())) return store_status::too_large;
  if (value->size() >= large_value_min) return put(hash, key, meta, {}, std::move(value), now);
  const std::string_view bytes = value->size() == 0 ? std::string_view() : value->extent_at(0);
  return put(hash, key, meta, bytes, nullptr, now);
}

store_status shard::put(std::uint64_t hash, std::string_view key, const item_meta& meta,
                        std::string_view value, large_ref large, instant now) {
  CHECK(key.size() <= key_size_max);
  // Where nothing may be evicted a touch must not fail for want of 8 bytes: they are set aside.
  const bool room_for_touch = static_cast<bool>(meta.touched) || !limits_.evict;
  const std::size_t bytes =
      record::bytes_for(key.size(), value.size(), static_cast<bool>(large), room_for_touch);
  record* old = index_.find(hash, key);
  store_status status;
  record* r = block_for(old, bytes, now, status);
  if (r == nullptr) return status;

  const bool is_value = meta.kind == item_kind::value;
  const bool keeps_place = is_value && old != nullptr && !old->is(record::tombstone);
  if (old != nullptr) {
    count(*old, false);
    old->take_large();
    if (!keeps_place) dequeue(old);
  }
  if (old == nullptr) {
    index_.insert(hash, r);
  } else if (r != old) {
    index_.replace(hash, old, r);
    if (keeps_place) values_.replace(old, r);
    free_record(old);
  }
  r->assign(key, meta, value, std::move(large), unix_seconds(now.wall));
  count(*r, true);
  if (keeps_place)
    r->bits |= record::visited;
  else
    enqueue(r);

  if (is_value) ++counted_.total_items;
  const record* keep = is_value ? r : nullptr;
  cap_tombstones();
  grow_index(now, keep);
  settle(now, keep);
  return store_status::stored;
}

// A block for `bytes` bytes: the old record's own or a new one. Null, with the reason in `status`,
// if there is none; the old record is then as it was.
record* shard::block_for(record* old, std::size_t bytes, instant now, store_status& status) {
  if (old != nullptr && worth_reusing(*old, bytes)) return old;
  const std::size_t needed = record_memory_max(bytes);
  if (make_room(needed, old ? released_by_replacing(*old) : 0, now, old))
    if (record* r = allocate_record(bytes)) return r;
  if (old != nullptr && record_capacity(old) >= bytes) return old;
  if (fixed_bytes() + needed > limits_.memory_bytes) {
    status = store_status::too_large;
  } else {
    status = store_status::out_of_memory;
    ++counted_.out_of_memory;
  }
  return nullptr;
}

bool shard::update_meta(std::uint64_t hash, std::string_view key, const item_meta& meta) {
  record* r = index_.find(hash, key);
  if (r == nullptr) return false;
  CHECK(meta.kind == r->kind());
  const std::size_t bytes = record::bytes_for(r->key_size, r->value_size, r->is(record::has_large),
                                              static_cast<bool>(meta.touched));
  if (record_capacity(r) < bytes) r = widened(hash, r, bytes);
  if (r == nullptr) return false;
  r->set_meta(meta);
  return true;
}

// Moves the record to a block of `bytes` bytes. If there is no memory for it the item is given up,
// as by an eviction: a miss is safe, the old expiry is not.
record* shard::widened(std::uint64_t hash, record* r, std::size_t bytes) {
  record* wide = nullptr;
  if (make_room(record_memory_max(bytes), record_memory(r), latest_, r))
    wide = allocate_record(bytes);
  if (wide == nullptr) {
    give_up(hash, r);
    return nullptr;
  }
  count(*r, false);
  std::memcpy(static_cast<void*>(wide), r, r->bytes());
  index_.replace(hash, r, wide);
  if (wide->is(record::tombstone))
    tombstones_.replace(r, wide);
  else
    values_.replace(r, wide);
  free_record(r);
  count(*wide, true);
  settle(latest_, wide);
  return wide;
}

bool shard::drop(std::uint64_t hash, std::string_view key, version floor) {
  if (floor) forget(hash, key, floor);
  record* r = index_.find(hash, key);
  if (r == nullptr) return false;
  raise_floor(hash, r->changed());
  remove(hash, r);
  return true;
}

void shard::flush(version watermark) {
  flushed_ = std::max(flushed_, watermark);
}

}  // namespace tandem::engine
