#include "common/engine/shard.h"

#include <algorithm>
#include <new>
#include <utility>

#include "common/base/check.h"
#include "common/base/hash.h"

namespace tandem::engine {

namespace {

// A record is put in the place of the old one if it fills it to this many percent: less wastes more
// than a new place costs.
constexpr std::size_t in_place_percent = 50;

unsigned band_for(std::size_t bytes) noexcept {
  unsigned band = 0;
  while (band < bands - 1 && bytes > band_bytes_max[band]) ++band;
  return band;
}

}  // namespace

shard::shard(const shard_limits& limits)
    : limits_(limits),
      log_(limits.memory_bytes),
      index_(limits.memory_bytes, log_),
      floors_(limits.memory_bytes),
      unshared_floors_(limits.memory_bytes),
      large_(new page_pool(limits.memory_bytes)) {}

shard::~shard() {
  for (log_id log = 0; log < log_count; ++log) {
    for (sweep at{log_.log(log).oldest, 0}; at.segment != no_segment;) {
      if (record* r = next_record(at))
        r->take_large();
      else
        at = {log_[at.segment].newer, 0};
    }
  }
}

// The next record of a segment, in use or dead; null at its end.
record* shard::next_slot(sweep& at) const noexcept {
  if (at.offset >= log_[at.segment].used) return nullptr;
  record* const r = log_.record_at(at.segment, at.offset);
  at.offset += static_cast<std::uint32_t>(r->bytes());
  return r;
}

// The next record in use, passing over what is not; null at the segment's end.
record* shard::next_record(sweep& at) const noexcept {
  record* r = next_slot(at);
  while (r != nullptr && r->dead) r = next_slot(at);
  return r;
}

// --- reading -------------------------------------------------------------------------------

std::optional<item_view> shard::find(std::uint64_t hash, std::string_view key, instant now,
                                     bool access) {
  latest_ = now;
  record* r = index_.find(hash, key);
  if (r == nullptr || r->tombstone) return std::nullopt;
  if (is_dead(*r, now)) {
    ++(is_flushed(*r) ? counted_.find_flushed : counted_.find_expired);
    reclaim(hash, r, now);
    return std::nullopt;
  }
  std::optional<item_view> found = r->view();
  if (access) {
    r->frequency = r->raised();
    r->fetched = 1;
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
  return is_expired(r, now) || is_flushed(r);
}

bool shard::visible(const item_meta& meta, instant now) const noexcept {
  return meta.stored > flushed_ && (meta.exptime == 0 || meta.exptime > unix_seconds(now.wall));
}

// --- writing -------------------------------------------------------------------------------

bool shard::fits(std::size_t key_size, std::size_t value_size) const noexcept {
  const std::size_t most = limits_.item_size_max;
  return key_size <= key_size_max && value_size <= large_value_max && value_size <= most &&
         key_size + value_size + item_overhead <= most;
}

large_ref shard::reserve_large(std::size_t size, instant now) {
  latest_ = now;
  if (!fits(0, size)) return nullptr;
  store_status status;
  return make_large(size, large_step, now, status);
}

bool shard::extend_large(large_value& value, instant now) {
  CHECK(value.belongs_to(*large_));
  latest_ = now;
  if (grant(value, value.granted() + large_step, now)) return true;
  ++counted_.out_of_memory;
  return false;
}

// `value` gets the memory of its first `upto` bytes.
bool shard::grant(large_value& value, std::size_t upto, instant now) {
  const std::size_t bytes = value.growth(upto);
  if (bytes > large_->warm_bytes()) {
    large_claim_ = log_.segment_bytes();
    work_ahead(bytes, now);
  }
  return (bytes == 0 || make_room(need::pages, bytes, now)) && value.grant(upto);
}

large_ref shard::make_large(std::size_t size, std::size_t granted, instant now,
                            store_status& status) {
  status = store_status::too_large;
  const std::size_t bytes = large_value::footprint(size);
  if (fixed_bytes() + 2 * log_.segment_bytes() + bytes > limits_.memory_bytes) return nullptr;
  status = store_status::out_of_memory;
  try {
    large_ref large = large_value::make(size, large_);
    if (grant(*large, std::min(size, granted), now)) {
      status = store_status::stored;
      return large;
    }
  } catch (const std::bad_alloc&) {  // counted like a full shard, below
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
  large_ref large = make_large(value.size(), value.size(), now, status);
  if (!large) return status;
  large->write(0, value.substr(0, value.size() / page_bytes * page_bytes));
  const std::string_view tail = value.substr(value.size() / page_bytes * page_bytes);
  large->trim();
  return put(hash, key, meta, tail, std::move(large), now);
}

store_status shard::store(std::uint64_t hash, std::string_view key, const item_meta& meta,
                          large_ref value, instant now) {
  CHECK(meta.kind == item_kind::value && value && value->belongs_to(*large_));
  CHECK(value->granted() == value->size());
  latest_ = now;
  if (!fits(key.size(), value->size())) return store_status::too_large;
  char tail[page_bytes];
  const std::string_view bytes(tail, value->tail().copy(tail, sizeof tail));
  if (value->size() < large_value_min) return put(hash, key, meta, bytes, nullptr, now);
  value->trim();
  return put(hash, key, meta, bytes, std::move(value), now);
}

store_status shard::put(std::uint64_t hash, std::string_view key, const item_meta& meta,
                        std::string_view value, large_ref large, instant now) {
  CHECK(!key.empty() && key.size() <= key_size_max);
  // Where nothing may be evicted a touch must not fail for want of 8 bytes: they are set aside.
  const record::layout fields{meta.flags != 0, static_cast<bool>(meta.touched) || !limits_.evict,
                              meta.has_own_cas()};
  const std::size_t bytes =
      record::bytes_for(key.size(), value.size(), fields, static_cast<bool>(large));
  const std::size_t total = bytes + (large ? large_value::footprint(large->size()) : 0);
  const bool is_value = meta.kind == item_kind::value;
  const std::uint32_t seconds = unix_seconds(now.wall);
  ++stores_;
  large_claim_ -= std::min(large_claim_, total);
  work_ahead(bytes, now);
  const bool remembered = is_value && index_.take_ghost(hash);
  if (remembered) ++counted_.ghost_hits;

  for (;;) {
    record* const old = index_.find(hash, key);
    const bool renews = is_value && old != nullptr && !old->tombstone;
    log_id log = tombstone_log;
    if (is_value) {
      const bool proven = remembered || (renews && is_main(log_[log_.segment_of(old)].log));
      log = proven ? main_log(band_for(total)) : small_log(band_for(total));
    }
    if (renews && log_[log_.segment_of(old)].log == log &&
        overwrite(old, fields, bytes, key, meta, value, large, now))
      break;
    if (!log_.fits(log, bytes)) {
      if (!open_segment(log, now)) return refuse(bytes);
      continue;  // what was old may be gone or have moved
    }
    if (old == nullptr && !index_.has_room(hash)) {
      if (!grow_index(hash, now)) return refuse(bytes);
      continue;
    }
    record* const r = log_.append(log, bytes);
    r->assign(fields, key, meta, value, std::move(large), seconds);
    log_.add(*r);
    if (old != nullptr) {
      if (renews) r->frequency = old->raised();
      index_.replace(hash, old, r);
      log_.remove(*old);
      old->take_large();
      retire(old);
    } else {
      index_.insert(hash, r);
    }
    note_expiry(*r, seconds);
    break;
  }
  if (is_value) ++counted_.total_items;
  cap_tombstones();
  return store_status::stored;
}

// Puts the new state in the old one's place, if it fits well.
bool shard::overwrite(record* old, record::layout fields, std::size_t bytes, std::string_view key,
                      const item_meta& meta, std::string_view value, large_ref& large,
                      instant now) {
  const std::size_t room = log_.room_of(*old);
  if (bytes > room || bytes * 100 < room * in_place_percent) return false;
  log_.remove(*old);
  old->take_large();
  const unsigned frequency = old->raised();
  old->assign(fields, key, meta, value, std::move(large), unix_seconds(now.wall));
  old->frequency = frequency & 3U;
  if (room > bytes)
    reinterpret_cast<record*>(reinterpret_cast<char*>(old) + bytes)->make_gap(room - bytes);
  // A sweep that stands at a gap which is none any more. (What other sweeps have passed is dead.)
  const std::uint32_t begin = log_.offset_of(old), end = begin + static_cast<std::uint32_t>(room);
  if (expiring_.segment == log_.segment_of(old) && expiring_.offset > begin &&
      expiring_.offset < end)
    expiring_.offset = end;
  log_.add(*old);
  note_expiry(*old, unix_seconds(now.wall));
  return true;
}

store_status shard::refuse(std::size_t bytes) noexcept {
  const std::size_t least = fixed_bytes() + 2 * log_.segment_bytes() + bytes;
  if (least > limits_.memory_bytes) return store_status::too_large;
  ++counted_.out_of_memory;
  return store_status::out_of_memory;
}

bool shard::open_segment(log_id log, instant now) {
  if (!make_room(need::segment, 0, now)) return false;
  return begin_segment(log, unix_seconds(now.wall));
}

bool shard::begin_segment(log_id log, std::uint32_t now) noexcept {
  const std::uint32_t closed = log_.log(log).newest;
  if (!log_.open(log, stores_, now)) return false;
  if (closed != no_segment) plan_expiry(closed, now);
  return true;
}

bool shard::grow_index(std::uint64_t hash, instant now) {
  if (!make_room(need::index, index_.split_bytes(), now)) return false;
  return index_.has_room(hash) || index_.split(hash);
}

bool shard::update_meta(std::uint64_t hash, std::string_view key, const item_meta& meta) {
  const std::uint32_t seconds = unix_seconds(latest_.wall);
  for (;;) {
    record* const r = index_.find(hash, key);
    if (r == nullptr) return false;
    CHECK(meta.kind == r->kind());
    if (r->holds(meta)) {
      r->set_meta(meta);
      note_expiry(*r, seconds);
      return true;
    }
    const record::layout fields{r->has_flags || meta.flags != 0,
                                r->has_touched || static_cast<bool>(meta.touched),
                                meta.has_own_cas()};
    const std::size_t bytes = record::bytes_for(r->key_size, r->value_size, fields, r->has_large);
    const log_id log = log_[log_.segment_of(r)].log;
    if (!log_.fits(log, bytes)) {
      if (open_segment(log, latest_)) continue;
      // The item is given up, as by an eviction: a miss is safe, the old expiry is not.
      if (record* still = index_.find(hash, key)) give_up(hash, still);
      return false;
    }
    record* const wide = log_.append(log, bytes);
    log_.remove(*r);
    const unsigned frequency = r->frequency, fetched = r->fetched;
    wide->assign(fields, r->key(), meta, r->value(), r->take_large(), r->last_access);
    wide->frequency = frequency & 3U;
    wide->fetched = fetched & 1U;
    log_.add(*wide);
    index_.replace(hash, r, wide);
    retire(r);
    note_expiry(*wide, seconds);
    return true;
  }
}

bool shard::drop(std::uint64_t hash, std::string_view key, version floor) {
  if (floor) forget(hash, key, floor, {});
  record* r = index_.find(hash, key);
  if (r == nullptr) return false;
  raise_floor(hash, r->stored());
  remove(hash, r, false);
  return true;
}

void shard::flush(version watermark) {
  if (watermark <= flushed_) return;
  flushed_ = watermark;
  // Every segment is due to be swept.
  for (std::uint32_t n = 0; n < log_.segment_count(); ++n) log_[n].due = 0;
  next_due_ = 0;
  expiring_ = {};
}

// --- walking -------------------------------------------------------------------------------

void shard::walk(cursor& at, unsigned budget,
                 const std::function<void(const item_view&)>& visit) const {
  for (std::uint64_t spent = 0; spent < budget && !at.done;) {
    // Another page was merged into this one: what it brought to the buckets passed was not seen.
    const unsigned depth = index_.depth_at(at.position);
    if (depth < at.depth) at.bucket = 0;
    at.depth = static_cast<std::uint16_t>(depth);
    std::uint64_t seen = 0;
    index_.visit_home(at.position, at.bucket, [&](const record* r) {
      visit(r->view());
      ++seen;
    });
    spent += std::max<std::uint64_t>(seen, 1);
    if (++at.bucket < hash_index::home_buckets) continue;
    at.position = index_.page_end(at.position);
    at.bucket = at.depth = 0;
    at.done = at.position == 0;
  }
}

// --- statistics ----------------------------------------------------------------------------

shard_statistics shard::statistics() const noexcept {
  shard_statistics s = counted_;
  for (log_id log = 0; log < tombstone_log; ++log) {
    const segment_log::log_state& l = log_.log(log);
    band_statistics& band = s.by_band[band_of(log)];
    band.items += l.items;
    band.bytes += l.bytes;
    if (l.oldest != no_segment && l.items != 0) {
      const std::uint64_t begun = std::max(log_[l.oldest].opened_at, 1U);
      band.oldest = band.oldest == 0 ? begun : std::min(band.oldest, begun);
    }
    s.items += l.items;
    s.item_bytes += l.bytes;
  }
  for (std::uint32_t n = 0; n < log_.segment_count(); ++n)
    if (log_[n].log < tombstone_log) ++s.by_band[band_of(log_[n].log)].segments;
  for (const band_statistics& band : s.by_band) {
    s.evictions += band.evictions;
    s.evicted_unfetched += band.evicted_unfetched;
    s.reclaimed += band.reclaimed;
    s.expired_unfetched += band.expired_unfetched;
  }
  s.tombstones = log_.log(tombstone_log).items;
  s.tombstone_bytes = log_.log(tombstone_log).bytes;
  s.index_bytes = index_.bytes() + floors_.bytes() + unshared_floors_.bytes();
  s.log_bytes = log_.bytes();
  s.dead_bytes = log_.dead_bytes();
  s.large_bytes = large_->used_bytes();
  s.warm_bytes = large_->warm_bytes();
  return s;
}

void shard::reset_statistics() noexcept {
  counted_ = {};
}

bool shard::consistent() const {
  std::uint64_t records = 0;
  for (log_id log = 0; log < log_count; ++log) records += log_.log(log).items;
  return log_.consistent() && index_.consistent() && records == index_.size() &&
         log_.large_bytes() <= large_->used_bytes();
}

}  // namespace tandem::engine
