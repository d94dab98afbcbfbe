#include "common/service/store.h"

#include <algorithm>
#include <bit>
#include <string>

#include "common/base/check.h"
#include "common/replication/merge.h"

namespace tandem::service {

using engine::item_kind;
using engine::item_meta;
using engine::item_view;
using engine::store_status;
using replication::apply_status;
using replication::flush_state;
using replication::merge_verdict;
using replication::record;
using replication::record_kind;

namespace {

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

record gone(std::string_view key, version last_known) {
  record r;
  r.kind = record_kind::gone;
  r.key = key;
  r.meta.stored = last_known;
  return r;
}

constexpr unsigned housekeep_positions = 256;  // per shard and call: well under a millisecond

}  // namespace

std::size_t shard_count_for(unsigned threads, std::size_t memory_bytes, std::size_t item_size_max) {
  const std::size_t shard_bytes_min = std::max(std::size_t{16} << 20, 3 * item_size_max);
  const std::size_t wanted = std::bit_ceil(std::size_t{4} * std::max(threads, 1U));
  const std::size_t roomy =
      std::bit_floor(std::max<std::size_t>(memory_bytes / shard_bytes_min, 1));
  return std::min({wanted, roomy, std::size_t{256}});
}

store::store(const store_options& options) : options_(options), node_id_(options.node_id) {
  CHECK(std::has_single_bit(options.shards));
  engine::shard_limits limits;
  limits.memory_bytes = options.memory_bytes / options.shards;
  limits.item_size_max = options.item_size_max;
  limits.evict = options.evict;
  for (std::size_t i = 0; i < options.shards; ++i)
    partitions_.push_back(
        std::make_unique<partition>(limits, options.journal_bytes / options.shards, mutations_));
}

// --- clients' commands ---------------------------------------------------------------------------

void store::locked::journal(const hashed_key& k, version v) {
  shard_.journal.append(v, k.key);
  if (const std::size_t bytes = shard_.journal.bytes(); bytes != shard_.journal_charge) {
    shard_.journal_charge = bytes;
    shard_.items.set_extra_bytes(bytes, now_);
  }
  owner_.mutations_.fetch_add(1);
}

store::locked::put_result store::locked::finish_put(const hashed_key& k, version v,
                                                    store_status status) {
  if (status != store_status::stored) return {status, {}};
  journal(k, v);
  return {status, v};
}

store::locked::put_result store::locked::put(const hashed_key& k, std::uint32_t flags,
                                             std::uint32_t exptime, std::string_view value,
                                             std::uint8_t marks) {
  const item_meta meta{issue(), {}, flags, exptime, item_kind::value, marks};
  return finish_put(k, meta.stored, shard_.items.store(k.hash, k.key, meta, value, now_));
}

store::locked::put_result store::locked::put(const hashed_key& k, std::uint32_t flags,
                                             std::uint32_t exptime, engine::large_ref value,
                                             std::uint8_t marks) {
  const item_meta meta{issue(), {}, flags, exptime, item_kind::value, marks};
  return finish_put(k, meta.stored,
                    shard_.items.store(k.hash, k.key, meta, std::move(value), now_));
}

void store::locked::remove(const hashed_key& k) {
  item_meta meta;
  meta.stored = issue();
  meta.kind = item_kind::tombstone;
  // Without room for a tombstone the floor remembers the delete here, and the journal's entry tells
  // the peer that older states are void.
  if (shard_.items.store(k.hash, k.key, meta, std::string_view(), now_) != store_status::stored)
    shard_.items.drop(k.hash, k.key, meta.stored);
  journal(k, meta.stored);
}

bool store::locked::touch(const hashed_key& k, std::uint32_t exptime) {
  const auto item = shard_.items.find(k.hash, k.key, now_, false);
  if (!item) return false;
  item_meta meta = item->meta;
  meta.touched = issue();
  meta.exptime = exptime;
  // No room for the touch: the item is gone, as by an eviction, rather than left with its old
  // expiry.
  if (!shard_.items.update_meta(k.hash, k.key, meta)) return false;
  journal(k, meta.touched);
  return true;
}

engine::large_ref store::locked::reserve(const hashed_key& k, std::size_t size) {
  if (!shard_.items.fits(k.key.size(), size)) return {};
  return shard_.items.reserve_large(size, now_);
}

// --- flush_all -----------------------------------------------------------------------------------

version store::raise_watermark(version at_least, instant now) {
  // A version above everything issued before this call in any shard: two passes, so that no two
  // shard locks are held at once. What is stored between them counts as stored during the flush.
  for (const auto& p : partitions_) {
    const std::lock_guard guard(p->mutex);
    at_least = std::max(at_least, p->clock.issue(now.wall, node_id()));
  }
  for (const auto& p : partitions_) {
    const std::lock_guard guard(p->mutex);
    p->items.flush(at_least);
    p->clock.observe(at_least);
  }
  return at_least;
}

void store::flush_all(std::uint32_t at, instant now) {
  const std::lock_guard guard(flush_mutex_);
  if (at > unix_seconds(now.wall)) {
    const std::uint64_t ticks =
        std::max(version::ticks_at(now.wall), flush_.pending_issued.ticks() + 1);
    flush_.pending_issued = version(ticks, node_id());
    flush_.pending_at = at;
  } else {
    flush_.watermark = raise_watermark({}, now);
    flush_.pending_issued = std::max(flush_.watermark, flush_.pending_issued);
    flush_.pending_at = 0;
  }
  flush_due_.store(flush_.pending_at, std::memory_order_relaxed);
  mutations_.fetch_add(1);
}

void store::carry_out_due_flush(instant now) {
  const std::lock_guard guard(flush_mutex_);
  if (flush_.pending_at == 0 || flush_.pending_at > unix_seconds(now.wall)) return;
  // Both nodes come here by themselves: the watermark is the moment agreed, not the moment noticed.
  const wall_time due{std::chrono::seconds(flush_.pending_at)};
  const version watermark(version::ticks_at(due), version::node_mask);
  for (const auto& p : partitions_) {
    const std::lock_guard shard_guard(p->mutex);
    p->items.flush(watermark);
    p->clock.observe(watermark);
  }
  flush_.watermark = std::max(flush_.watermark, watermark);
  flush_.pending_at = 0;
  flush_due_.store(0, std::memory_order_relaxed);
}

flush_state store::flush() const {
  const std::lock_guard guard(flush_mutex_);
  return flush_;
}

void store::apply_flush(const flush_state& incoming, instant now) {
  {
    const std::lock_guard guard(flush_mutex_);
    if (incoming.watermark > flush_.watermark) {
      for (const auto& p : partitions_) {
        const std::lock_guard shard_guard(p->mutex);
        p->items.flush(incoming.watermark);
        p->clock.observe(incoming.watermark);
      }
      flush_.watermark = incoming.watermark;
    }
    if (incoming.pending_issued > flush_.pending_issued) {
      flush_.pending_issued = incoming.pending_issued;
      flush_.pending_at = incoming.pending_at;
      flush_due_.store(flush_.pending_at, std::memory_order_relaxed);
    }
  }
  carry_out_due_flush(now);
}

// --- upkeep --------------------------------------------------------------------------------------

void store::housekeep(instant now) {
  carry_out_due_flush(now);
  for (const auto& p : partitions_) {
    const std::lock_guard guard(p->mutex);
    p->items.housekeep(housekeep_positions, now, p->confirmed);
  }
}

engine::shard_statistics store::statistics() const {
  engine::shard_statistics sum;
  for (const auto& p : partitions_) {
    const std::lock_guard guard(p->mutex);
    sum += p->items.statistics();
  }
  return sum;
}

void store::reset_statistics() {
  for (const auto& p : partitions_) {
    const std::lock_guard guard(p->mutex);
    p->items.reset_statistics();
  }
}

std::size_t store::used_bytes() const {
  std::size_t sum = 0;
  for (const auto& p : partitions_) {
    const std::lock_guard guard(p->mutex);
    sum += p->items.used_bytes();
  }
  return sum;
}

store::digest_result store::digest(instant now) const {
  digest_result result;
  for (const auto& p : partitions_) {
    engine::cursor at;
    while (!at.done) {
      const std::lock_guard guard(p->mutex);
      p->items.walk(at, 256, [&](const item_view& item) {
        if (item.meta.kind != item_kind::value || !p->items.visible(item.meta, now)) return;
        std::string text(item.key);
        for (const std::uint64_t word : {item.meta.stored.word(), item.meta.touched.word(),
                                         std::uint64_t{item.meta.flags} << 32 | item.meta.exptime})
          text.append(reinterpret_cast<const char*>(&word), sizeof word);
        text.append(item.value);
        for (std::size_t i = 0; item.large && i < item.large->size();) {
          const std::string_view extent = item.large->extent_at(i);
          text.append(extent);
          i += extent.size();
        }
        result.digest += hash_key(text);
        ++result.items;
      });
    }
  }
  return result;
}

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
  return p.journal.end();
}

void store::stop_journals() {
  for (const auto& p : partitions_) {
    const std::lock_guard guard(p->mutex);
    p->journal.stop();
  }
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
    found = e.changed;
    return false;
  });
  return found;
}

replication::journal::position store::read_journal(std::size_t shard,
                                                   replication::journal::position from, instant now,
                                                   const replication::record_sink& sink) {
  partition& p = *partitions_[shard];
  const std::lock_guard guard(p.mutex);
  bool go_on = true;
  return p.journal.read(from, [&](const replication::journal::entry& e) {
    if (!go_on) return false;
    const auto item = p.items.find_any(hash_key(e.key), e.key);
    if (!item) {
      go_on = sink(gone(e.key, e.changed));
    } else if (item->meta.changed() == e.changed) {
      // What can be seen here no more is not worth its bytes, but what it replaced must go there.
      const bool worth =
          item->meta.kind == item_kind::tombstone || p.items.visible(item->meta, now);
      go_on = sink(worth ? record_of(*item) : gone(e.key, e.changed));
    }  // else a later entry, or the peer's own record, speaks for the key
    return true;
  });
}

void store::scan(std::size_t shard, engine::cursor& at, unsigned budget, instant now,
                 const replication::record_sink& sink) {
  const partition& p = *partitions_[shard];
  const std::lock_guard guard(p.mutex);
  p.items.walk(at, budget, [&](const item_view& item) {
    if (item.meta.kind == item_kind::tombstone || p.items.visible(item.meta, now))
      sink(record_of(item));
    else if (item.meta.stored > p.items.flushed())
      sink(gone(item.key, item.meta.stored));  // expired: what it replaced must not outlive it
  });
}

void store::confirm(std::size_t shard, replication::journal::position upto, bool all_older) {
  partition& p = *partitions_[shard];
  const std::lock_guard guard(p.mutex);
  const bool complete = all_older && upto >= p.journal.begin();
  p.journal.trim(upto);
  if (const std::size_t bytes = p.journal.bytes(); bytes < p.journal_charge) {
    p.journal_charge = bytes;
    p.items.set_extra_bytes(bytes, instant{});  // less needs no eviction, so no time
  }
  // Entries that fell out of the journal unsent are not known there, whatever came after them.
  if (!complete) return;
  version known = p.clock.last();
  p.journal.read(upto, [&](const replication::journal::entry& e) {
    known = version(e.changed.word() - 1);
    return false;
  });
  p.confirmed = std::max(p.confirmed, known);
  p.items.set_shared(p.confirmed, node_ids_used_.load(std::memory_order_relaxed));
}

// --- replication: receiving ----------------------------------------------------------------------

engine::large_ref store::reserve(std::string_view key, std::size_t size, instant now) {
  const hashed_key k(key);
  return lock(k, now).reserve(k, size);
}

// If the peer can hold a state only because it was never told what came after, it is told now.
void store::answer_stale(partition& p, const hashed_key& k, version stored) {
  const version unshared = p.items.unshared_floor(k.hash);
  if (stored >= unshared) return;
  p.journal.append(unshared, k.key);
  mutations_.fetch_add(1);
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
  p.clock.observe(incoming.meta.changed());
  if (incoming.kind == record_kind::value && incoming.meta.stored <= p.items.flushed())
    return apply_status::known;
  const auto local = p.items.find_any(k.hash, k.key);
  switch (replication::merge(local, p.items.floor(k.hash), incoming)) {
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
  p.items.drop(k.hash, k.key, meta.changed());
  return apply_status::no_room;
}

}  // namespace tandem::service
