// The shard's second part: what leaves it, and how room is made. shard_expiry.cc has what leaves by
// itself.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/engine/shard.h"

namespace tandem::engine {

namespace {

// How many records the eviction spares, because they were read, for each that it drops. When
// everything was read it would go round the whole shard else.
constexpr unsigned spared_per_drop = 8;
// What a call may use besides what it appends: an index page, a chunk of the owner's.
constexpr std::size_t margin_bytes = std::size_t{32} << 10;
// A segment of this size is freed in no time: what may be used besides needs nothing ready.
constexpr std::size_t quick_segment_bytes = std::size_t{128} << 10;
// Bytes of records that one call looks at to be ahead: some thousand of the smallest.
constexpr std::size_t work_bytes_max = std::size_t{128} << 10;
// Tombstones that one call drops for being too many.
constexpr unsigned tombstones_dropped_max = 64;
// Records that a sweep looks at in one go, their index buckets prefetched.
constexpr unsigned batch_max = 16;
// The share of its band that the small log may fill before it is taken from.
constexpr unsigned small_share = 10;
// When the dead are this part of the log, compaction is worth more than eviction.
constexpr unsigned dead_share = 12;
}  // namespace

// --- removing ------------------------------------------------------------------------------

// The record, out of the books already, is dead; with the last of a segment the segment is free.
void shard::retire(record* r) noexcept {
  r->dead = 1;
  const std::uint32_t number = log_.segment_of(r);
  if (!log_.settle(number)) return;
  borrowed_ = lent_ = false;
  swept_in_vain_ = 0;
  for (sweep* at : {&compacting_, &expiring_, &confirming_})
    if (at->segment == number) *at = {};
}

void shard::remove(std::uint64_t hash, record* r, bool remember) noexcept {
  index_.erase(hash, r, remember);
  log_.remove(*r);
  r->take_large();
  retire(r);
}

// A state is dropped and nothing in its place will tell of it. A touch is newer than its store
// without being worth more than a later one, which has to get past the floors.
void shard::forget(std::uint64_t hash, std::string_view key, version stored,
                   version touched) noexcept {
  floors_.raise(hash, stored);
  const version changed = std::max(stored, touched);
  if (changed <= shared_ || (own_nodes_ >> changed.node() & 1U) == 0) return;
  // Of a touch that nobody heard of, the store that it was of is void too.
  unshared_floors_.raise(hash, touched ? version(stored.word() + 1) : stored);
  if (drop_listener_ != nullptr) drop_listener_->dropped_unshared(key, stored, touched);
}

// Removes something that is neither dead nor confirmed, for want of memory.
void shard::give_up(std::uint64_t hash, record* r) noexcept {
  forget(hash, r->key(), r->stored(), r->touched());
  const log_id log = log_[log_.segment_of(r)].log;
  if (r->tombstone) {
    ++counted_.tombstones_dropped;
  } else {
    band_statistics& band = counted_.by_band[band_of(log)];
    ++band.evictions;
    if (!r->fetched) ++band.evicted_unfetched;
    if (r->exptime != 0) ++band.evicted_with_exptime;
    const std::uint32_t now = unix_seconds(latest_.wall);
    band.evicted_idle = now - std::min(now, r->last_access + 0U);
    if (drop_listener_ != nullptr) drop_listener_->evicted(r->view(), latest_);
  }
  remove(hash, r, !r->tombstone && !is_main(log));
}

// Removes a dead value.
void shard::reclaim(std::uint64_t hash, record* r, instant now) noexcept {
  if (!is_flushed(*r)) forget(hash, r->key(), r->stored(), r->touched());
  band_statistics& band = counted_.by_band[band_of(log_[log_.segment_of(r)].log)];
  ++band.reclaimed;
  if (is_expired(*r, now) && !r->fetched) ++band.expired_unfetched;
  remove(hash, r, false);
}

// --- tombstones ----------------------------------------------------------------------------

record* shard::oldest_tombstone() noexcept {
  const segment_log::log_state& log = log_.log(tombstone_log);
  if (log.items == 0) return nullptr;
  // A segment that has none is free, so the oldest has one, behind what was passed before.
  sweep at{log.oldest, log.scanned};
  record* const r = next_record(at);
  CHECK(r != nullptr);
  log_.pass(tombstone_log, at.offset - static_cast<std::uint32_t>(r->bytes()) - log.scanned);
  return r;
}

void shard::cap_tombstones() noexcept {
  const std::size_t cap = limits_.memory_bytes / 100 * limits_.tombstone_percent;
  for (unsigned n = 0; n < tombstones_dropped_max && log_.log(tombstone_log).bytes > cap; ++n) {
    record* r = oldest_tombstone();
    give_up(hash_key(r->key()), r);
  }
}

// Removes tombstones that the peer knows of: the oldest, and, going round, those among others that
// it does not know of.
void shard::drop_confirmed(unsigned budget, version confirmed) noexcept {
  for (unsigned n = 0; n < budget; ++n) {
    record* r = oldest_tombstone();
    if (r == nullptr || r->stored() > confirmed) break;
    remove(hash_key(r->key()), r, false);
  }
  for (unsigned n = 0; n < budget && log_.log(tombstone_log).items != 0; ++n) {
    const segment_log::log_state& log = log_.log(tombstone_log);
    if (confirming_.segment == no_segment) confirming_ = {log.oldest, log.scanned};
    record* r = next_slot(confirming_);
    if (r == nullptr)
      confirming_ = {log_[confirming_.segment].newer, 0};
    else if (!r->dead && r->stored() <= confirmed)
      remove(hash_key(r->key()), r, false);
  }
}

// --- making room ---------------------------------------------------------------------------

// What an empty shard of this size takes.
std::size_t shard::fixed_bytes() const noexcept {
  return hash_index::bytes_min + floors_.bytes() + unshared_floors_.bytes() + log_.book_bytes() +
         extra_bytes_;
}

std::size_t shard::used_bytes() const noexcept {
  return index_.bytes() + floors_.bytes() + unshared_floors_.bytes() + log_.bytes() +
         large_->used_bytes() + large_->warm_bytes() + extra_bytes_;
}

// What a sweep is to find for its copies. While a compaction is under way it has it, and is about
// to give it back; where nothing may be evicted it might need a second one.
std::size_t shard::held_back() const noexcept {
  return lent_ && limits_.evict ? 0 : log_.segment_bytes();
}

// Whether `bytes` could be had if everything was evicted: readers and writers may hold so much that
// nothing should be.
bool shard::can_free(std::size_t bytes) const noexcept {
  const std::size_t large = large_->used_bytes();
  const std::size_t held = large - std::min<std::size_t>(large, log_.large_bytes());
  return fixed_bytes() + held + log_.segment_bytes() + bytes + log_.log(tombstone_log).bytes <=
         limits_.memory_bytes;
}

// Sees to it that a segment can be opened, or `bytes` more of the index or of pages for large
// values be taken, and the segment held back is still there.
bool shard::make_room(need what, std::size_t bytes, instant now) {
  for (;;) {
    if (index_.sparse()) index_.merge_next();
    // The index grows by little at a time, which an eviction can do without.
    std::size_t wanted = what == need::index && limits_.evict ? 0 : held_back();
    if (what == need::segment)
      wanted += log_.growth();
    else if (what == need::index)
      wanted += bytes;
    else  // warm pages serve, and are in use_bytes() already
      wanted += bytes - std::min(bytes, large_->warm_bytes());
    const std::size_t used = used_bytes();
    if (used + wanted <= limits_.memory_bytes) return true;
    // What is free but of the other kind changes kinds; some warm pages are left, or it would do so
    // for ever.
    const std::size_t over = used + wanted - limits_.memory_bytes;
    if (log_.release_one()) continue;
    const std::size_t warm_kept = what == need::pages ? bytes : log_.segment_bytes();
    if (large_->warm_bytes() > warm_kept && large_->trim(over) != 0) continue;
    if (!can_free(bytes)) return false;
    if (free_some(1024, now) != 0) continue;
    if (large_->trim(over) != 0) continue;
    if (!index_.sparse()) return false;
    const std::size_t before = index_.bytes();
    index_.merge_all();
    if (index_.bytes() == before) return false;
  }
}

// Back under the limit, as far as there is something to remove.
void shard::settle(instant now) {
  (void)make_room(need::index, 0, now);
}

// Memory that segments, or pages, could be made of at once without freeing any; whole segments.
std::size_t shard::ready_bytes() const noexcept {
  const std::size_t warm = large_->warm_bytes();
  const std::size_t free = log_.free_segments() * log_.segment_bytes() +
                           (warm > log_.segment_bytes() ? warm : 0);  // as make_room() has it
  const std::size_t kept = used_bytes() - free + held_back();
  return log_.openable_bytes(limits_.memory_bytes - std::min(limits_.memory_bytes, kept));
}

// A log whose open segment is filled by half is to have half of its next one ready: frees some if
// it is not, the more the further behind, so that no call has to free a whole segment.
void shard::work_ahead(std::size_t bytes, instant now) {
  std::size_t claimed = log_.open_bytes();
  if (log_.segment_bytes() > quick_segment_bytes) claimed += large_claim_ + margin_bytes;
  std::size_t ready = ready_bytes();
  if (ready >= claimed || !can_free(bytes)) return;
  const std::size_t behind = 16 * (claimed - ready) / log_.segment_bytes();
  const std::size_t budget = std::min((2 * bytes + 64) * (1 + behind), work_bytes_max);
  for (std::size_t seen = 0; seen < budget && ready < claimed; ready = ready_bytes()) {
    const std::size_t step = free_some(budget - seen, now);
    if (step == 0) return;
    seen += step;
  }
}

// A step of whatever frees memory best; returns about how many bytes of records it looked at, some
// `budget` at most. 0: there is nothing that could be freed.
std::size_t shard::free_some(std::size_t budget, instant now) {
  // What has expired goes first, but it may be a little of every segment and then empties none.
  if (swept_in_vain_ < log_.segment_bytes()) {
    const std::size_t seen = reclaim_due(batch_max, now);
    swept_in_vain_ += seen;
    if (seen != 0) return seen;
  }
  // What has begun to copy goes on until it has given back the segment that was held back.
  const bool go_on_evicting =
      borrowed_ && last_evicted_ != log_count && log_.log(last_evicted_).items != 0;
  const bool many_dead = log_.dead_bytes() > log_.used_bytes() / dead_share &&
                         log_.dead_bytes() > 2 * log_.segment_bytes();
  if (compacting_.segment != no_segment || (many_dead && !go_on_evicting))
    if (const std::size_t seen = compact(budget)) return seen;
  if (!limits_.evict) {
    const std::size_t seen = log_.dead_bytes() >= log_.segment_bytes() ? compact(budget) : 0;
    return seen != 0 ? seen : reclaim_due(batch_max, now);
  }
  const log_id log = go_on_evicting ? last_evicted_ : eviction_choice();
  if (log == log_count) return compact(budget);
  last_evicted_ = log;
  return evict_from(log, budget, now);
}

// How many stores ago the record was put there that the eviction would look at next: between the
// beginnings of its segment and of the next one.
double shard::age_of_oldest(const segment_log::log_state& log) const noexcept {
  const segment& s = log_[log.oldest];
  const std::uint32_t end = s.newer == no_segment ? stores_ : log_[s.newer].opened;
  return stores_ - s.opened + 1 - static_cast<double>(end - s.opened) * log.scanned / s.used;
}

// The log whose oldest item is worth least for its memory; log_count: there are no values.
//
// Measured by tests/bench/replay.cc on eleven settings of four traces: the age alone keeps too many
// large items, age x size too few; age x size^0.75, with the age between that of the small and of
// the main log, came within 1 % of the best of each.
log_id shard::eviction_choice() const noexcept {
  log_id best = log_count;
  double best_score = -1;
  for (unsigned band = 0; band < bands; ++band) {
    const segment_log::log_state& small = log_.log(small_log(band));
    const segment_log::log_state& main = log_.log(main_log(band));
    const std::uint64_t items = small.items + main.items, bytes = small.bytes + main.bytes;
    if (items == 0) continue;
    const bool from_small =
        main.items == 0 || (small.items != 0 && small.bytes * small_share > bytes);
    const double age = age_of_oldest(from_small ? small : main);
    const double main_age = main.items == 0 ? age : age_of_oldest(main);
    const double size = static_cast<double>(bytes) / static_cast<double>(items);
    const double score = std::sqrt(age * main_age * size * std::sqrt(size));
    if (score <= best_score) continue;
    best_score = score;
    best = from_small ? small_log(band) : main_log(band);
  }
  return best;
}

std::size_t shard::evict_from(log_id log, std::size_t budget, instant now) {
  std::array<record*, batch_max> batch;
  std::array<std::uint64_t, batch_max> hashes;
  unsigned count = 0;
  std::size_t seen = 0;
  const segment_log::log_state& l = log_.log(log);
  sweep at{l.oldest, l.scanned};
  while (count < batch_max && seen < budget) {
    record* const r = next_record(at);
    if (r == nullptr) break;
    seen += r->bytes() + r->large_bytes();
    hashes[count] = hash_key(r->key());
    index_.prefetch_bucket(hashes[count]);
    batch[count++] = r;
  }
  log_.pass(log, at.offset - l.scanned);
  for (unsigned i = 0; i < count; ++i) {
    record* const r = batch[i];
    if (is_dead(*r, now)) {
      reclaim(hashes[i], r, now);
      continue;
    }
    // A value that a reader holds is in use, and gives no memory back.
    const bool in_use = r->frequency != 0 || (r->has_large && r->large()->shared());
    if (in_use && may_spare_ != 0) {
      const unsigned left = r->frequency == 0 ? 0 : r->frequency - 1U;
      const log_id to = main_log(band_of(log));
      if (log_.fits(to, r->bytes()) || begin_copies(no_segment, to)) {
        record* const moved = move(hashes[i], r, log_.append(to, r->bytes()));
        moved->frequency = is_main(log) ? left & 3U : 0;
        counted_.moved_bytes += moved->bytes();
        --may_spare_;
        continue;
      }
    }
    may_spare_ = std::min(may_spare_ + spared_per_drop, spared_max);
    give_up(hashes[i], r);
  }
  return seen + 1;
}

// Opens a segment for what a sweep copies: at the end of log `to` or, if that is none, in front of
// the victim. The segment held back serves if need be. False: there is no memory.
bool shard::begin_copies(std::uint32_t victim, log_id to) noexcept {
  const std::size_t used = used_bytes() + log_.growth();
  if (used > limits_.memory_bytes) return false;
  const std::uint32_t now = unix_seconds(latest_.wall);
  if (to == log_count) {
    const std::uint32_t closed = log_.log(log_[victim].log).refill;
    if (!log_.open_refill(victim)) return false;
    lent_ = true;
    if (closed != no_segment) plan_expiry(closed, now);
  } else if (!begin_segment(to, now)) {
    return false;
  }
  borrowed_ = used > limits_.memory_bytes - log_.segment_bytes();
  return true;
}

// Copies a record to another place.
record* shard::move(std::uint64_t hash, record* r, record* to) noexcept {
  log_.remove(*r);
  std::memcpy(static_cast<void*>(to), r, r->bytes());
  log_.add(*to);
  index_.replace(hash, r, to);
  retire(r);
  note_expiry(*to, unix_seconds(latest_.wall));
  return to;
}

// Goes on with, or begins, moving what lives out of the deadest segment. Returns how many bytes it
// moved, at least 1; 0: there is none.
std::size_t shard::compact(std::size_t budget) {
  if (compacting_.segment == no_segment) compacting_ = {log_.deadest(), 0};
  const std::uint32_t number = compacting_.segment;
  if (number == no_segment) return 0;
  std::size_t seen = 0;
  while (seen < budget && compacting_.segment == number) {
    sweep next = compacting_;
    record* const r = next_record(next);
    if (r == nullptr) break;
    const std::size_t bytes = r->bytes();
    const log_id log = log_[number].log;
    if (!log_.refill_fits(log, bytes) && !begin_copies(number, log_count)) return 0;
    move(hash_key(r->key()), r, log_.refill(log, bytes));
    if (compacting_.segment == number) compacting_ = next;
    counted_.compacted_bytes += bytes;
    seen += bytes;
  }
  return std::max<std::size_t>(seen, 1);
}

// --- limits --------------------------------------------------------------------------------

bool shard::set_limit(std::size_t memory_bytes, instant now) {
  latest_ = now;
  bool more = true;
  for (std::size_t seen = 0; seen < work_bytes_max && more;) {
    const std::size_t used = used_bytes() + held_back();
    if (used <= memory_bytes) break;
    if (index_.sparse()) index_.merge_next();
    // What is not in use goes at once.
    if (log_.release_one() || large_->trim(used - memory_bytes) != 0) continue;
    const std::size_t step = free_some(work_bytes_max, now);
    more = step != 0;
    seen += step;
  }
  limits_.memory_bytes =
      more ? std::max(memory_bytes, std::min(limits_.memory_bytes, used_bytes() + held_back()))
           : memory_bytes;
  cap_tombstones();
  return limits_.memory_bytes == memory_bytes;
}

void shard::set_extra_bytes(std::size_t bytes, instant now) {
  latest_ = now;
  extra_bytes_ = bytes;
  settle(now);
}

}  // namespace tandem::engine
