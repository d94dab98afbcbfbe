// One shard of the embedded cache: index, items, memory, eviction and expiry of the keys whose hash
// falls to it. It has no lock and reads no clock: the owner (service/store.h) serialises calls and
// passes the time.
//
// Guarantees:
// - used_bytes() <= limit after every call that returns success: items, tombstones, the index, the
//   floor table, large values (also those that only a reader still holds) and what the owner
//   charges with set_extra_bytes() count. Stores evict to get there. (What malloc takes is counted,
//   not what it keeps back: fragmentation of the heap comes on top.)
// - An item dropped without leaving a tombstone (evicted, expired, a capped tombstone) raises the
//   floor of its hash, so that the merge rule can refuse an older state of it later.
// - A cursor walk sees every item that exists from its start to its end at least once, whatever is
//   stored, evicted or resized meanwhile, in bounded steps.
//
// Three pieces of the key's hash are used: low bits by the owner to choose the shard (never top
// ones), top bits for the place in the index, middle bits for the floor.
//
// In this version: malloc'ed records (record.h) in a chained index that grows a bucket at a time
// (hash_index.h), and SIEVE eviction (sieve.h): a FIFO of items with one bit for "read since", and
// one hand.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "common/base/time.h"
#include "common/engine/floors.h"
#include "common/engine/hash_index.h"
#include "common/engine/item.h"
#include "common/engine/sieve.h"

namespace tandem::engine {

// What memcached 1.6 adds to key and value before it compares with -I: its item header (48), the
// CAS unique (8), the key's NUL and the value's CRLF. Ours is not charged here, so that the same
// setting refuses the same values.
constexpr std::size_t item_overhead = 48 + 8 + 1 + 2;

struct shard_limits {
  std::size_t memory_bytes = 64 << 20;  // everything this shard may use; from 1 MiB
  std::size_t item_size_max = 1 << 20;  // of key + value + item_overhead, memcached's -I; to 1 GiB
  unsigned tombstone_percent = 5;       // of memory_bytes that tombstones may take
  bool evict = true;                    // false: a full shard refuses stores (memcached's -M)
};

enum class store_status : std::uint8_t {
  stored,
  too_large,      // over item_size_max, or it would not fit the empty shard
  out_of_memory,  // nothing (more) could be evicted to make room, or malloc failed
};

// Counters since start or reset_statistics(), and gauges marked so.
struct shard_statistics {
  std::uint64_t items = 0;            // gauge: visible or not yet reclaimed values
  std::uint64_t tombstones = 0;       // gauge
  std::uint64_t item_bytes = 0;       // gauge: key + value + overhead of values, large ones too
  std::uint64_t tombstone_bytes = 0;  // gauge
  std::uint64_t index_bytes = 0;      // gauge: index and floor table
  std::uint64_t large_bytes = 0;      // gauge: large values, stored, reserved and pinned ones
  std::uint64_t total_items = 0;      // values ever stored
  std::uint64_t evictions = 0;
  std::uint64_t evicted_unfetched = 0;
  std::uint64_t reclaimed = 0;  // expired or flushed items removed (no evictions)
  std::uint64_t expired_unfetched = 0;
  std::uint64_t out_of_memory = 0;
  std::uint64_t tombstones_dropped = 0;  // at the cap, before the peer had confirmed them

  shard_statistics& operator+=(const shard_statistics& other) noexcept {
    items += other.items;
    tombstones += other.tombstones;
    item_bytes += other.item_bytes;
    tombstone_bytes += other.tombstone_bytes;
    index_bytes += other.index_bytes;
    large_bytes += other.large_bytes;
    total_items += other.total_items;
    evictions += other.evictions;
    evicted_unfetched += other.evicted_unfetched;
    reclaimed += other.reclaimed;
    expired_unfetched += other.expired_unfetched;
    out_of_memory += other.out_of_memory;
    tombstones_dropped += other.tombstones_dropped;
    return *this;
  }
};

// Where a walk stands. Starts at its default; ended when done.
struct cursor {
  std::uint64_t position = 0;
  bool done = false;
};

class drop_listener {
 public:
  // `key` was dropped without a tombstone in a state that only this node knew.
  virtual void dropped_unshared(std::string_view key, version changed) noexcept = 0;

 protected:
  ~drop_listener() = default;
};

// `hash` is always hash_key(key) (common/base/hash.h), and keys are at most key_size_max bytes. A
// key or value given to a call that changes the shard must not lie in the shard itself.
class shard {
 public:
  // Throws std::bad_alloc.
  explicit shard(const shard_limits& limits);
  ~shard();
  shard(const shard&) = delete;
  shard& operator=(const shard&) = delete;

  // --- reading -----------------------------------------------------------------------------
  // The visible value of `key`: not a tombstone, not expired, not flushed. Something expired or
  // flushed that it meets is reclaimed. Counts as an access (eviction, last_access, fetched) if
  // `access`.
  std::optional<item_view> find(std::uint64_t hash, std::string_view key, instant now,
                                bool access = true);
  // Whatever is stored under `key`: tombstones, expired and flushed items too; not an access.
  // The replication's look.
  std::optional<item_view> find_any(std::uint64_t hash, std::string_view key) const;

  // --- writing -----------------------------------------------------------------------------
  // Room for a large value of `size` bytes, to be filled outside the lock and stored later or let
  // go. Null: too large for the limits, nothing left to evict or malloc failed. Evicts.
  large_ref reserve_large(std::size_t size, instant now);
  // True if key + value of these sizes pass item_size_max: with the default of 1 MiB a value of
  // 1048300 bytes does and one of 1048576 does not.
  bool fits(std::size_t key_size, std::size_t value_size) const noexcept;

  // Puts the state of `key`, replacing what is there. `value` may be of any size (from
  // large_value_min on it is copied into a large value). `meta.kind` tombstone: value empty, and
  // item_size_max does not apply. On failure nothing has changed, but items may have been evicted,
  // for a large value also the one under `key`.
  // An overwrite of a value counts as an access and keeps its place in the eviction queue.
  store_status store(std::uint64_t hash, std::string_view key, const item_meta& meta,
                     std::string_view value, instant now);
  // `value` comes from this shard's reserve_large() and is not written to any more; under
  // large_value_min bytes it is copied and let go.
  store_status store(std::uint64_t hash, std::string_view key, const item_meta& meta,
                     large_ref value, instant now);
  // Changes meta of the item under `key` (any kind) and keeps its kind and its value. False: no
  // such item, or no memory for its first touch version: then it is dropped and its floor raised,
  // as by an eviction.
  bool update_meta(std::uint64_t hash, std::string_view key, const item_meta& meta);
  // Removes whatever is under `key` without a tombstone; raises its floor to at least `floor` (0:
  // none) and the removed item's version. Returns whether something was there.
  bool drop(std::uint64_t hash, std::string_view key, version floor);

  // --- flush -------------------------------------------------------------------------------
  // Values whose stored version is <= watermark are gone from now on. Never moves back.
  void flush(version watermark);
  version flushed() const noexcept { return flushed_; }
  // Whether find() could return this item now.
  bool visible(const item_meta& meta, instant now) const noexcept;

  // --- floors ------------------------------------------------------------------------------
  // The highest changed() of anything dropped without a tombstone whose hash shares the slot.
  // Flushed items raise none (the watermark refuses them), nor do confirmed tombstones.
  version floor(std::uint64_t hash) const noexcept { return floors_.at(hash); }
  void raise_floor(std::uint64_t hash, version at_least) noexcept { floors_.raise(hash, at_least); }
  // The same for what only this node knew when it was dropped: states above `shared` issued by one
  // of `nodes` (a bit for each node id this process has used). The peer may still hold an older
  // state of such a key, which nobody may see again.
  version unshared_floor(std::uint64_t hash) const noexcept { return unshared_floors_.at(hash); }
  void set_shared(version shared, unsigned nodes) noexcept {
    shared_ = shared;
    own_nodes_ = nodes;
  }
  // Told of each such drop, in the middle of the call that causes it; must not touch the shard.
  // None by default; it outlives the shard.
  void set_drop_listener(drop_listener* listener) noexcept { drop_listener_ = listener; }

  // --- housekeeping ------------------------------------------------------------------------
  // Visits about `budget` index positions, going round and round: reclaims expired and flushed
  // values and the tombstones whose version is <= confirmed; the oldest tombstones are looked at
  // first. Gives back index memory when few items are left. Bounded by budget, not by contents.
  void housekeep(unsigned budget, instant now, version confirmed_tombstones);

  // --- walking -----------------------------------------------------------------------------
  // Calls `visit` for the items (of any kind, visible or not) at the cursor's position and advances
  // it, until about `budget` items were seen (an empty position counts as one) or the walk is done.
  // Whole positions are visited, so it may go over by a few. `visit` must not change the shard.
  void walk(cursor& at, unsigned budget, const std::function<void(const item_view&)>& visit) const;

  // --- memory and statistics ---------------------------------------------------------------
  // These evict what is over the limit then. Without eviction, or when readers hold more than the
  // limit, the shard stays over it and refuses what needs memory.
  void set_limit(std::size_t memory_bytes, instant now);
  void set_item_size_max(std::size_t bytes) noexcept { limits_.item_size_max = bytes; }
  void set_extra_bytes(std::size_t bytes, instant now);  // the owner's (journal)
  std::size_t used_bytes() const noexcept;
  const shard_limits& limits() const noexcept { return limits_; }
  shard_statistics statistics() const noexcept;
  void reset_statistics() noexcept;  // the counters; gauges stay
  // Whether index, queues and gauges agree, by a look at everything. For tests and fuzzers.
  bool consistent() const;

 private:
  bool is_flushed(const record& r) const noexcept { return r.stored <= flushed_; }
  static bool is_expired(const record& r, instant now) noexcept;
  // A value that find() would not return.
  bool is_dead(const record& r, instant now) const noexcept;

  // Storing.
  large_ref make_large(std::size_t size, instant now, store_status& status);
  store_status put(std::uint64_t hash, std::string_view key, const item_meta& meta,
                   std::string_view value, large_ref large, instant now);
  record* block_for(record* old, std::size_t bytes, instant now, store_status& status);
  record* widened(std::uint64_t hash, record* r, std::size_t bytes);

  // Removing.
  void count(const record& r, bool added) noexcept;
  void enqueue(record* r) noexcept;
  void dequeue(record* r) noexcept;
  void remove(std::uint64_t hash, record* r) noexcept;
  void give_up(std::uint64_t hash, record* r) noexcept;
  void reclaim(std::uint64_t hash, record* r, instant now) noexcept;
  void cap_tombstones() noexcept;
  void forget(std::uint64_t hash, std::string_view key, version changed) noexcept;

  // Making room. `keep`, if not null, is not removed.
  std::size_t fixed_bytes() const noexcept;
  bool make_room(std::size_t bytes, std::size_t credit, instant now, const record* keep);
  bool free_some(instant now, const record* keep);
  void settle(instant now, const record* keep);
  void grow_index(instant now, const record* keep);

  shard_limits limits_;
  hash_index index_;
  sieve values_;
  record_queue tombstones_;  // by the time of the delete
  floor_table floors_;
  floor_table unshared_floors_;
  version shared_;
  unsigned own_nodes_ = 0;
  drop_listener* drop_listener_ = nullptr;
  large_charge_ref large_;
  version flushed_;
  std::size_t extra_bytes_ = 0;
  std::size_t value_bytes_ = 0;         // of the values' records
  std::size_t tombstone_bytes_ = 0;     // of the tombstones' records
  std::size_t stored_large_bytes_ = 0;  // of the large values that the records refer to
  std::uint64_t housekeeping_at_ = 0;   // in hash space
  instant latest_{};                    // of the last call that was given the time
  shard_statistics counted_;            // items, tombstones and the counters
};

}  // namespace tandem::engine
