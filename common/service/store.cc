// The store as clients use it; store_replication.cc has the rest.
#include "common/service/store.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <string>

#include "common/base/check.h"
#include "common/service/watch_events.h"

namespace tandem::service {

using engine::item_kind;
using engine::item_meta;
using engine::item_view;
using engine::store_status;
using replication::flush_state;

namespace {
constexpr unsigned housekeep_records = 256;  // at a time: well under a millisecond
constexpr std::size_t shard_bytes_max = std::size_t{2} << 30;  // its index grows in no time
constexpr unsigned housekeep_rounds = 64;  // per shard and call, while something is due

}  // namespace

std::size_t shard_count_for(unsigned threads, std::size_t memory_bytes, std::size_t item_size_max) {
  const std::size_t shard_bytes_min = std::max(std::size_t{16} << 20, 3 * item_size_max);
  const std::size_t wanted = std::max(std::bit_ceil(std::size_t{4} * std::max(threads, 1U)),
                                      std::bit_ceil(memory_bytes / shard_bytes_max + 1));
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
        std::make_unique<partition>(i, limits, options.journal_bytes / options.shards, mutations_));
}

// --- clients' commands ---------------------------------------------------------------------------

void store::locked::journal(const hashed_key& k, version stored, version touched) {
  shard_.journal.append(stored, k.key, touched);
  if (const std::size_t bytes = shard_.journal.bytes(); bytes != shard_.journal_charge) {
    shard_.journal_charge = bytes;
    shard_.items.set_extra_bytes(bytes, now_);
  }
  owner_.mutations_.fetch_add(1);
}

item_meta store::locked::new_meta(std::uint32_t flags, std::uint32_t exptime, std::uint8_t marks,
                                  own_cas cas) {
  item_meta meta{.stored = issue(), .flags = flags, .exptime = exptime};
  if (!owner_.options_.cas) cas = 0;
  meta.marks = static_cast<std::uint8_t>(marks & ~engine::mark::own_cas);
  if (cas) {
    meta.marks |= engine::mark::own_cas;
    meta.cas = *cas;
  }
  return meta;
}

store::locked::put_result store::locked::finish_put(const hashed_key& k, const item_meta& meta,
                                                    store_status status) {
  if (status != store_status::stored) return {status, {}};
  journal(k, meta.stored);
  return {status, meta.stored, meta.cas_unique()};
}

store::locked::put_result store::locked::put(const hashed_key& k, std::uint32_t flags,
                                             std::uint32_t exptime, std::string_view value,
                                             std::uint8_t marks, own_cas cas) {
  const item_meta meta = new_meta(flags, exptime, marks, cas);
  return finish_put(k, meta, shard_.items.store(k.hash, k.key, meta, value, now_));
}

store::locked::put_result store::locked::put(const hashed_key& k, std::uint32_t flags,
                                             std::uint32_t exptime, engine::large_ref value,
                                             std::uint8_t marks, own_cas cas) {
  const item_meta meta = new_meta(flags, exptime, marks, cas);
  return finish_put(k, meta, shard_.items.store(k.hash, k.key, meta, std::move(value), now_));
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

store::locked::put_result store::locked::renew(const hashed_key& k, std::uint32_t exptime,
                                               std::uint8_t marks, own_cas cas) {
  const auto item = shard_.items.find(k.hash, k.key, now_, false);
  if (!item) return {store_status::out_of_memory, {}};
  const item_meta meta = new_meta(item->meta.flags, exptime, marks, cas);
  const bool held = shard_.items.update_meta(k.hash, k.key, meta);
  return finish_put(k, meta, held ? store_status::stored : store_status::out_of_memory);
}

bool store::locked::touch(const hashed_key& k, std::uint32_t exptime,
                          std::optional<std::uint8_t> marks) {
  const auto item = shard_.items.find(k.hash, k.key, now_, false);
  if (!item) return false;
  item_meta meta = item->meta;
  meta.touched = issue();
  meta.exptime = exptime;
  if (marks) {
    // Whether it has a CAS unique of its own is no business of a touch.
    constexpr std::uint8_t kept = engine::mark::own_cas;
    meta.marks = static_cast<std::uint8_t>((*marks & ~kept) | (meta.marks & kept));
  }
  // No room for the touch: the item is gone, as by an eviction, rather than left with its old
  // expiry.
  if (!shard_.items.update_meta(k.hash, k.key, meta)) return false;
  journal(k, meta.stored, meta.touched);
  return true;
}

engine::large_ref store::locked::reserve(const hashed_key& k, std::size_t size) {
  if (!shard_.items.fits(k.key.size(), size)) return {};
  return shard_.items.reserve_large(size, now_);
}

void store::forget(instant now) {
  {
    const std::lock_guard guard(flush_mutex_);
    flush_ = {};
    flush_due_.store(0, std::memory_order_relaxed);
  }
  for (const auto& p : partitions_) {
    const std::lock_guard guard(p->mutex);
    const engine::shard_limits limits = p->items.limits();
    const std::size_t journal_limit = p->journal.limit();
    std::destroy_at(&p->items);
    std::construct_at(&p->items, limits);
    std::destroy_at(&p->journal);
    std::construct_at(&p->journal, journal_limit);
    p->items.set_drop_listener(p.get());
    p->items.set_shared(p->confirmed, node_ids_used_.load(std::memory_order_relaxed));
    p->journal_charge = 0;
    p->news_end = 0;
    p->split_since = {};
    p->clock.observe(version(version::ticks_at(now.wall), 0));
  }
}

version store::issue(const hashed_key& k, instant now) {
  partition& p = partition_of(k.hash);
  const std::lock_guard guard(p.mutex);
  return p.clock.issue(now.wall, node_id());
}

void store::prefetch_item(std::uint64_t hash) const noexcept {
  const partition& p = partition_of(hash);
  const std::unique_lock guard(p.mutex, std::try_to_lock);
  if (guard) p.items.prefetch_item(hash);
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

replication::journal::position store::flush_all(std::uint32_t at, instant now) {
  const std::lock_guard guard(flush_mutex_);
  if (at > unix_seconds(now.wall)) {
    const std::uint64_t ticks =
        std::max(version::ticks_at(now.wall), flush_.pending_issued.ticks() + 1);
    flush_.pending_issued = version(ticks, node_id());
    flush_.pending_at = at;
  } else {
    flush_.watermark = raise_watermark({}, now);
    // Above the one that it cancels, also where that was asked for by a clock that is ahead.
    flush_.pending_issued =
        std::max(flush_.watermark, version(flush_.pending_issued.ticks() + 1, node_id()));
    flush_.pending_at = 0;
  }
  flush_due_.store(flush_.pending_at, std::memory_order_relaxed);
  mutations_.fetch_add(1);
  return replication::number_of(flush_);
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
  mutations_.fetch_add(1);  // the peer may have heard of a cancellation in time, and not of this
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
  follow_memory_limit(now);
  for (const auto& p : partitions_) {
    bool more = true;
    for (unsigned round = 0; more && round < housekeep_rounds; ++round) {
      const std::lock_guard guard(p->mutex);
      more = p->items.housekeep(housekeep_records, now, p->confirmed);
    }
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

std::size_t store::journal_bytes() const {
  std::size_t sum = 0;
  for (const auto& p : partitions_) {
    const std::lock_guard guard(p->mutex);
    sum += p->journal.bytes();
  }
  return sum;
}

void store::set_watchers(watch_hub& hub) {
  watchers_ = &hub;
  for (const auto& p : partitions_) p->watchers = &hub;
}

void store::partition::evicted(const item_view& item, instant now) noexcept {
  if (watchers != nullptr && watchers->wants(watch::evictions)) note_eviction(*watchers, item, now);
}

void store::walk_values(std::size_t shard, engine::cursor& at, unsigned budget, instant now,
                        const std::function<void(const item_view&)>& visit) const {
  const partition& p = *partitions_[shard];
  const std::lock_guard guard(p.mutex);
  p.items.walk(at, budget, [&](const item_view& item) {
    if (item.meta.kind == item_kind::value && p.items.visible(item.meta, now)) visit(item);
  });
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
        for (const std::uint64_t word :
             {item.meta.stored.word(), item.meta.touched.word(), std::uint64_t{item.meta.marks},
              item.meta.cas, std::uint64_t{item.meta.flags} << 32 | item.meta.exptime})
          text.append(reinterpret_cast<const char*>(&word), sizeof word);
        for (std::size_t i = 0; i < item.value_size(); i += item.piece_at(i).size())
          text.append(item.piece_at(i));
        result.digest += hash_key(text);
        ++result.items;
      });
    }
  }
  return result;
}

}  // namespace tandem::service
