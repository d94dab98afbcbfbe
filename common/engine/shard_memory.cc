// The shard's second half: what leaves it, and how room is made.
#include <algorithm>

#include "common/base/hash.h"
#include "common/engine/shard.h"

namespace tandem::engine {

namespace {

// How many items the hand spares in one round before it takes what it stands on: when everything
// was read since its last visit SIEVE would pass over the whole shard, under the lock.
constexpr unsigned spared_max = 256;
// The same where nothing may be evicted and it only looks for what is expired or flushed.
constexpr unsigned looks_max = 64;

}  // namespace

// --- removing ------------------------------------------------------------------------------

// Adds a record to the gauges or takes it out. Called with the record linked or not, but complete.
void shard::count(const record& r, bool added) noexcept {
  const auto add = [added](auto& gauge, std::size_t n) { gauge = added ? gauge + n : gauge - n; };
  if (r.is(record::tombstone)) {
    add(counted_.tombstones, 1);
    add(tombstone_bytes_, record_memory(&r));
    return;
  }
  add(counted_.items, 1);
  add(value_bytes_, record_memory(&r));
  if (const large_value* large = r.large())
    add(stored_large_bytes_, large_value::footprint(large->size()));
}

void shard::enqueue(record* r) noexcept {
  if (r->is(record::tombstone))
    tombstones_.push_newest(r);
  else
    values_.insert(r);
}

void shard::dequeue(record* r) noexcept {
  if (r->is(record::tombstone))
    tombstones_.remove(r);
  else
    values_.remove(r);
}

void shard::remove(std::uint64_t hash, record* r) noexcept {
  index_.erase(hash, r);
  dequeue(r);
  count(*r, false);
  r->take_large();
  free_record(r);
}

// A state is dropped and nothing in its place will tell of it.
void shard::forget(std::uint64_t hash, std::string_view key, version changed) noexcept {
  floors_.raise(hash, changed);
  if (changed <= shared_ || (own_nodes_ >> changed.node() & 1U) == 0) return;
  unshared_floors_.raise(hash, changed);
  if (drop_listener_ != nullptr) drop_listener_->dropped_unshared(key, changed);
}

// Removes something that is neither dead nor confirmed, for want of memory.
void shard::give_up(std::uint64_t hash, record* r) noexcept {
  forget(hash, r->key(), r->changed());
  if (r->is(record::tombstone)) {
    ++counted_.tombstones_dropped;
  } else {
    ++counted_.evictions;
    if (!r->is(record::fetched)) ++counted_.evicted_unfetched;
  }
  remove(hash, r);
}

// Removes a dead value.
void shard::reclaim(std::uint64_t hash, record* r, instant now) noexcept {
  if (!is_flushed(*r)) forget(hash, r->key(), r->changed());
  ++counted_.reclaimed;
  if (is_expired(*r, now) && !r->is(record::fetched)) ++counted_.expired_unfetched;
  remove(hash, r);
}

void shard::cap_tombstones() noexcept {
  const std::size_t cap = limits_.memory_bytes / 100 * limits_.tombstone_percent;
  while (tombstone_bytes_ > cap) {
    record* r = tombstones_.oldest();
    give_up(hash_key(r->key()), r);
  }
}

// --- making room ---------------------------------------------------------------------------

// What an empty shard of this size takes.
std::size_t shard::fixed_bytes() const noexcept {
  return index_.bytes() + floors_.bytes() + unshared_floors_.bytes() + extra_bytes_;
}

std::size_t shard::used_bytes() const noexcept {
  return fixed_bytes() + value_bytes_ + tombstone_bytes_ + large_->bytes();
}

// Sees to it that `bytes` more can be allocated, of which the caller gives back `credit` in the
// same call.
bool shard::make_room(std::size_t bytes, std::size_t credit, instant now, const record* keep) {
  const std::size_t available = limits_.memory_bytes + credit;
  while (used_bytes() + bytes > available) {
    if (index_.sparse() && index_.shrink()) continue;
    // When readers and writers hold so much that nothing we evict would do, evict nothing.
    const std::size_t large = large_->bytes();
    const std::size_t held = large - std::min(large, stored_large_bytes_);
    if (fixed_bytes() + tombstone_bytes_ + held + bytes > available) return false;
    if (!free_some(now, keep)) return false;
  }
  return true;
}

// One removal by the eviction hand. False: there is nothing it may remove.
bool shard::free_some(instant now, const record* keep) {
  const unsigned tired = limits_.evict ? spared_max : looks_max;
  for (unsigned passed = 0;; ++passed) {
    record* r = values_.hand();
    if (r != nullptr && r == keep) {
      values_.advance();
      r = values_.hand();
      if (r == keep) return false;
    }
    if (r == nullptr) return false;
    if (is_dead(*r, now)) {
      reclaim(hash_key(r->key()), r, now);
      return true;
    }
    if (passed >= tired && !limits_.evict) return false;
    if (limits_.evict) {
      // A value that a reader holds is in use, and gives no memory back.
      const bool in_use = r->large() != nullptr && r->large()->shared();
      if (passed >= tired || !(r->is(record::visited) || in_use)) {
        give_up(hash_key(r->key()), r);
        return true;
      }
      r->bits &= static_cast<std::uint8_t>(~record::visited);
    }
    values_.advance();
  }
}

// Back under the limit, as far as there is something to remove.
void shard::settle(instant now, const record* keep) {
  while (used_bytes() > limits_.memory_bytes) {
    if (index_.sparse() && index_.shrink()) continue;
    if (!free_some(now, keep)) return;
  }
}

// Two steps for one item stored: it catches up where it could not grow before.
void shard::grow_index(instant now, const record* keep) {
  for (int step = 0; step < 2 && index_.crowded(); ++step) {
    const std::size_t bytes = index_.growth_bytes();
    if (bytes > 0 && !make_room(bytes, 0, now, keep)) return;
    if (!index_.grow()) return;
  }
}

void shard::set_limit(std::size_t memory_bytes, instant now) {
  latest_ = now;
  limits_.memory_bytes = memory_bytes;
  cap_tombstones();
  settle(now, nullptr);
}

void shard::set_extra_bytes(std::size_t bytes, instant now) {
  latest_ = now;
  extra_bytes_ = bytes;
  settle(now, nullptr);
}

// --- housekeeping and walking --------------------------------------------------------------

void shard::housekeep(unsigned budget, instant now, version confirmed_tombstones) {
  latest_ = now;
  for (unsigned n = 0; n < budget; ++n) {
    record* r = tombstones_.oldest();
    if (r == nullptr || r->stored > confirmed_tombstones) break;
    remove(hash_key(r->key()), r);
  }
  for (unsigned n = 0; n < budget && n < index_.buckets(); ++n) {
    const hash_index::bucket bucket = index_.bucket_at(housekeeping_at_);
    for (record* r = bucket.first; r != nullptr;) {
      record* next = r->chain;
      if (r->is(record::tombstone)) {
        if (r->stored <= confirmed_tombstones) remove(hash_key(r->key()), r);
      } else if (is_dead(*r, now)) {
        reclaim(hash_key(r->key()), r, now);
      }
      r = next;
    }
    housekeeping_at_ = bucket.last_hash + 1;  // wraps to 0 after the last bucket
  }
  for (unsigned n = 0; n < budget && index_.sparse(); ++n)
    if (!index_.shrink()) break;
}

void shard::walk(cursor& at, unsigned budget,
                 const std::function<void(const item_view&)>& visit) const {
  for (std::uint64_t spent = 0; spent < budget && !at.done;) {
    const hash_index::bucket bucket = index_.bucket_at(at.position);
    std::uint64_t seen = 0;
    for (const record* r = bucket.first; r != nullptr; r = r->chain, ++seen) visit(r->view());
    spent += std::max<std::uint64_t>(seen, 1);
    at.position = bucket.last_hash + 1;
    at.done = at.position == 0;
  }
}

// --- statistics ----------------------------------------------------------------------------

shard_statistics shard::statistics() const noexcept {
  shard_statistics s = counted_;
  s.item_bytes = value_bytes_ + stored_large_bytes_;
  s.tombstone_bytes = tombstone_bytes_;
  s.index_bytes = index_.bytes() + floors_.bytes() + unshared_floors_.bytes();
  s.large_bytes = large_->bytes();
  return s;
}

void shard::reset_statistics() noexcept {
  counted_ = {.items = counted_.items, .tombstones = counted_.tombstones};
}

bool shard::consistent() const {
  std::uint64_t values = 0, tombstones = 0, position = 0;
  std::size_t value_bytes = 0, tombstone_bytes = 0, large_bytes = 0;
  do {
    const hash_index::bucket bucket = index_.bucket_at(position);
    for (const record* r = bucket.first; r != nullptr; r = r->chain) {
      const std::uint64_t hash = hash_key(r->key());
      if (hash < position || hash > bucket.last_hash) return false;
      if (record_capacity(r) < r->bytes()) return false;
      const bool tombstone = r->is(record::tombstone);
      ++(tombstone ? tombstones : values);
      (tombstone ? tombstone_bytes : value_bytes) += record_memory(r);
      if (r->large()) large_bytes += large_value::footprint(r->large()->size());
    }
    position = bucket.last_hash + 1;
  } while (position != 0);
  const auto queued = [](const record* r, bool tombstones_only) {
    std::uint64_t n = 0;
    for (; r != nullptr; r = r->newer, ++n)
      if (r->is(record::tombstone) != tombstones_only) return ~std::uint64_t{0};
    return n;
  };
  return values == counted_.items && tombstones == counted_.tombstones &&
         values + tombstones == index_.size() && value_bytes == value_bytes_ &&
         tombstone_bytes == tombstone_bytes_ && large_bytes == stored_large_bytes_ &&
         queued(values_.oldest(), false) == values &&
         queued(tombstones_.oldest(), true) == tombstones;
}

}  // namespace tandem::engine
