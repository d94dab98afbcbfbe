// The store as the replication sees it: data_port.
#include <algorithm>
#include <array>

#include "common/replication/merge.h"
#include "common/service/store.h"
#include "common/service/watch_events.h"

namespace tandem::service {

using engine::item_kind;
using engine::item_meta;
using engine::item_view;
using engine::store_status;
using replication::apply_status;
using replication::merge_verdict;
using replication::record;
using replication::record_kind;

namespace {

// Entries of a journal whose items are fetched into the processor's cache together.
constexpr std::size_t look_ahead = 32;
// States of a shard that are known to have been given before their entries were reached. Beyond,
// they are given again.
constexpr std::size_t given_early_max = 1024;

record record_of(const item_view& item) {
  record r;
  r.kind = item.meta.kind == item_kind::tombstone ? record_kind::tombstone : record_kind::value;
  r.key = item.key;
  r.meta = item.meta;
  r.value = item.value;
  // The count is not part of the value: taking a reference leaves it as immutable as it was.
  if (item.large) r.large = engine::large_ref(const_cast<engine::large_value*>(item.large));
  return r;
}

record gone(std::string_view key, version stored, version touched) {
  record r;
  r.kind = record_kind::gone;
  r.key = key;
  r.meta.stored = stored;
  r.meta.touched = touched;
  return r;
}

}  // namespace

// --- replication: sending ------------------------------------------------------------------------

bool store::empty() const {
  return std::all_of(partitions_.begin(), partitions_.end(), [](const auto& p) {
    const std::lock_guard guard(p->mutex);
    const engine::shard_statistics s = p->items.statistics();
    return s.items == 0 && s.tombstones == 0;
  });
}

void store::set_node_id(unsigned id, instant now) {
  node_id_.store(id, std::memory_order_relaxed);
  const bool first = node_ids_used_.fetch_or(1U << id, std::memory_order_relaxed) == 0;
  for (const auto& p : partitions_) {
    const std::lock_guard guard(p->mutex);
    // Versions from before this process are not its own, even those that carry its id; its own are
    // above, even if the clock is set back now.
    if (first) {
      p->confirmed = version(version::ticks_at(now.wall), version::node_mask);
      p->clock.observe(p->confirmed);
    }
    p->items.set_shared(p->confirmed, node_ids_used_.load(std::memory_order_relaxed));
  }
}

store::standing store::check(std::string_view key, version changed) const {
  const hashed_key k(key);
  const partition& p = partition_of(k.hash);
  const std::lock_guard guard(p.mutex);
  const auto item = p.items.find_any(k.hash, k.key);
  if (!item) return standing::absent;
  return item->meta.changed() == changed ? standing::current : standing::replaced;
}

replication::journal::position store::start_journal(std::size_t shard) {
  partition& p = *partitions_[shard];
  const std::lock_guard guard(p.mutex);
  p.journal.start();
  if (acks_ != nullptr) acks_->begin_scan(shard, p.journal.end());
  return p.journal.end();
}

void store::stop_journal(std::size_t shard) {
  partition& p = *partitions_[shard];
  const std::lock_guard guard(p.mutex);
  p.journal.stop();
}

bool store::news_after(std::size_t shard, replication::journal::position from) const {
  const partition& p = *partitions_[shard];
  const std::lock_guard guard(p.mutex);
  return p.news_end > from;
}

replication::journal::position store::journal_begin(std::size_t shard) const {
  const std::lock_guard guard(partitions_[shard]->mutex);
  return partitions_[shard]->journal.begin();
}

replication::journal::position store::journal_end(std::size_t shard) const {
  const std::lock_guard guard(partitions_[shard]->mutex);
  return partitions_[shard]->journal.end();
}

version store::journal_version(std::size_t shard, replication::journal::position at) const {
  const std::lock_guard guard(partitions_[shard]->mutex);
  version found;
  partitions_[shard]->journal.read(at, [&](const replication::journal::entry& e) {
    found = e.changed();
    return false;
  });
  return found;
}

// A later entry, or the peer's own record, speaks for a key whose state is another now. If
// positions are promises, what it will say is said here: the later entry may fall into a frame that
// is lost.
bool store::partition::speaks(version named, version held) {
  const bool given = given_early.erase(named.word()) != 0;
  if (held == named) return !given;
  if (given_early.size() >= given_early_max) given_early.clear();
  return given_early.insert(held.word()).second;
}

replication::journal::position store::read_journal(std::size_t shard,
                                                   replication::journal::position from, instant now,
                                                   const replication::record_sink& sink) {
  struct named {
    replication::journal::entry entry;
    std::uint64_t hash;
  };
  std::array<named, look_ahead> ahead;
  partition& p = *partitions_[shard];
  const std::lock_guard guard(p.mutex);
  if (from != p.read_upto) p.given_early.clear();  // what was given is under way no more
  for (bool go_on = true; go_on;) {
    std::size_t count = 0;
    p.journal.read(from, [&](const replication::journal::entry& e) {
      if (count == ahead.size()) return false;
      ahead[count++] = {e, hash_key(e.key)};
      p.items.prefetch_index(ahead[count - 1].hash);
      return true;
    });
    if (count == 0) break;
    for (std::size_t i = 0; i < count; ++i) p.items.prefetch_item(ahead[i].hash);
    for (std::size_t i = 0; i < count && go_on; ++i, ++from) {
      const replication::journal::entry& e = ahead[i].entry;
      const auto item = p.items.find_any(ahead[i].hash, e.key);
      const version named = e.changed();
      const version held = item ? item->meta.changed() : named;
      if (exact_ ? !p.speaks(named, held) : held != named) continue;
      if (!item)
        go_on = sink(gone(e.key, e.stored, e.touched));
      else if (item->meta.kind == item_kind::tombstone || p.items.visible(item->meta, now))
        go_on = sink(record_of(*item));
      else  // not worth its bytes, but what it replaced must go there
        go_on = sink(gone(e.key, item->meta.stored, item->meta.touched));
    }
  }
  p.read_upto = from;
  return from;
}

void store::scan(std::size_t shard, engine::cursor& at, unsigned budget, version newer_than,
                 instant now, const replication::record_sink& sink) {
  const partition& p = *partitions_[shard];
  const unsigned own = node_ids_used_.load(std::memory_order_relaxed);
  const std::lock_guard guard(p.mutex);
  p.items.walk(at, budget, [&](const item_view& item) {
    if (newer_than) {
      const version changed = item.meta.changed();
      if (changed <= newer_than || (own >> changed.node() & 1U) == 0) return;
    }
    if (item.meta.kind == item_kind::tombstone || p.items.visible(item.meta, now))
      sink(record_of(item));
    else if (item.meta.stored > p.items.flushed())
      // Expired: what it replaced must not outlive it.
      sink(gone(item.key, item.meta.stored, item.meta.touched));
  });
}

void store::confirm(std::size_t shard, replication::journal::position upto, bool all_older) {
  partition& p = *partitions_[shard];
  const std::lock_guard guard(p.mutex);
  const bool complete = all_older && upto >= p.journal.begin();
  if (acks_ != nullptr) acks_->confirm(shard, upto, complete);
  p.journal.trim(upto);
  if (const std::size_t bytes = p.journal.bytes(); bytes < p.journal_charge) {
    p.journal_charge = bytes;
    p.items.set_extra_bytes(bytes, instant{});  // less needs no eviction, so no time
  }
  // Entries that fell out of the journal unsent are not known there, whatever came after them.
  if (!complete) return;
  version known = p.clock.last();
  p.journal.read(upto, [&](const replication::journal::entry& e) {
    known = version(e.changed().word() - 1);
    return false;
  });
  p.confirmed = std::max(p.confirmed, known);
  p.items.set_shared(p.confirmed, node_ids_used_.load(std::memory_order_relaxed));
}

void store::confirm_flush(replication::journal::position state) {
  if (acks_ != nullptr) acks_->confirm(acks_->flush_slot(), state, true);
}

version store::confirmed(std::size_t shard) const {
  const std::lock_guard guard(partitions_[shard]->mutex);
  return partitions_[shard]->confirmed;
}

// --- replication: comparing ----------------------------------------------------------------------

std::uint64_t store::items() const {
  const engine::shard_statistics all = statistics();
  return all.items + all.tombstones;
}

version store::look(std::string_view key, instant now, const replication::record_sink& sink) const {
  const hashed_key k(key);
  const partition& p = partition_of(k.hash);
  const std::lock_guard guard(p.mutex);
  if (const auto item = p.items.find_any(k.hash, k.key)) {
    const bool seen = item->meta.kind == item_kind::tombstone || p.items.visible(item->meta, now);
    sink(seen ? record_of(*item) : gone(item->key, item->meta.stored, item->meta.touched));
  }
  return p.items.floor(k.hash);
}

void store::journal_again(std::string_view key) {
  const hashed_key k(key);
  partition& p = partition_of(k.hash);
  const std::lock_guard guard(p.mutex);
  const auto item = p.items.find_any(k.hash, k.key);
  if (!item) return;
  p.journal.append(item->meta.stored, k.key, item->meta.touched);
  mutations_.fetch_add(1);
}

// --- replication: receiving ----------------------------------------------------------------------

engine::large_ref store::reserve(std::string_view key, std::size_t size, instant now) {
  const hashed_key k(key);
  return lock(k, now).reserve(k, size);
}

bool store::extend(std::string_view key, engine::large_value& value, instant now) {
  return lock(hashed_key(key), now).extend(value);
}

// If the peer can hold a state only because it was never told what came after, it is told now.
void store::answer_stale(partition& p, const hashed_key& k, version stored) {
  const version unshared = p.items.unshared_floor(k.hash);
  if (stored >= unshared) return;
  p.tell(k.key, unshared, {});
}

version store::highest() const {
  version highest;
  for (const auto& p : partitions_) {
    const std::lock_guard guard(p->mutex);
    highest = std::max(highest, p->clock.last());
  }
  return highest;
}

void store::observe(version seen) {
  for (const auto& p : partitions_) {
    const std::lock_guard guard(p->mutex);
    p->clock.observe(seen);
  }
}

apply_status store::apply(const record& incoming, instant now) {
  const hashed_key k(incoming.key);
  partition& p = partition_of(k.hash);
  const std::lock_guard guard(p.mutex);
  return apply_locked(p, k, incoming, now);
}

void store::apply_all(std::span<const record> incoming, instant now,
                      std::span<apply_status> results) {
  std::array<std::uint64_t, apply_max> hashes;
  for (std::size_t i = 0; i < incoming.size(); ++i) {
    hashes[i] = hash_key(incoming[i].key);
    prefetch_index(hashes[i]);
  }
  // A peer with as many shards sends what is of one of them together.
  for (std::size_t begin = 0; begin < incoming.size();) {
    partition& p = partition_of(hashes[begin]);
    std::size_t end = begin;
    while (end < incoming.size() && &partition_of(hashes[end]) == &p) ++end;
    const std::lock_guard guard(p.mutex);
    for (std::size_t i = begin; i < end; ++i) p.items.prefetch_item(hashes[i]);
    for (; begin < end; ++begin)
      results[begin] =
          apply_locked(p, hashed_key(incoming[begin].key, hashes[begin]), incoming[begin], now);
  }
}

apply_status store::apply_locked(partition& p, const hashed_key& k, const record& incoming,
                                 instant now) {
  if (incoming.kind == record_kind::held) {
    if (!p.items.find_any(k.hash, k.key)) answer_stale(p, k, incoming.meta.stored);
    return apply_status::known;
  }
  const apply_status status = apply_to(p, k, incoming, now);
  if (watchers_ != nullptr && watchers_->wants(watch::replication))
    note_apply(*watchers_, incoming, status, now);
  return status;
}

// The lock is held.
apply_status store::apply_to(partition& p, const hashed_key& k, const record& incoming,
                             instant now) {
  p.clock.observe(incoming.meta.changed());
  if (incoming.kind == record_kind::value && incoming.meta.stored <= p.items.flushed())
    return apply_status::known;
  const auto local = p.items.find_any(k.hash, k.key);
  const merge_verdict verdict = replication::merge(local, p.items.floor(k.hash), incoming);
  if (local && counting_conflicts_.load(std::memory_order_relaxed))
    note_conflict(p, *local, incoming, verdict);
  switch (verdict) {
    case merge_verdict::keep:
      if (!local) answer_stale(p, k, incoming.meta.stored);
      return apply_status::known;
    case merge_verdict::refuse:
      answer_stale(p, k, incoming.meta.stored);
      return apply_status::refused_floor;
    case merge_verdict::drop:
      p.items.drop(k.hash, k.key, incoming.meta.stored);
      return apply_status::applied;
    case merge_verdict::take_touch: {
      item_meta meta = incoming.meta;
      meta.kind = local->meta.kind;
      p.items.update_meta(k.hash, k.key, meta);
      return apply_status::applied;
    }
    case merge_verdict::take:
      break;
  }
  item_meta meta = incoming.meta;
  meta.kind = incoming.kind == record_kind::tombstone ? item_kind::tombstone : item_kind::value;
  const store_status status = incoming.large
                                  ? p.items.store(k.hash, k.key, meta, incoming.large, now)
                                  : p.items.store(k.hash, k.key, meta, incoming.value, now);
  if (status == store_status::stored) return apply_status::applied;
  p.items.drop(k.hash, k.key, meta.stored);
  return apply_status::no_room;
}

}  // namespace tandem::service
