// One shard of the embedded cache: index, items, memory, eviction and expiry of the keys whose hash
// falls to it. It has no lock and reads no clock: the owner (service/store.h) serialises calls and
// passes the time.
//
// Guarantees:
// - used_bytes() <= limit after every call that returns success: items, tombstones, the index, the
//   floor table, large values (also those that only a reader still holds) and what the owner
//   charges with set_extra_bytes() count. Stores evict to get there.
// - An item dropped without leaving a tombstone (evicted, expired, a capped tombstone) raises the
//   floor of its hash, so that the merge rule can refuse an older state of it later.
// - A cursor walk sees every item that exists from its start to its end at least once, whatever is
//   stored, evicted or resized meanwhile, in bounded steps.
//
// Three pieces of the key's hash are used: low bits by the owner to choose the shard (never top
// ones), top bits for the place in the index, middle bits for the floor.
//
// Memory: records lie in logs of segments (segment_log.h), large values in runs of pages
// (page_pool.h), the index in pages (hash_index.h); address space is reserved, memory is taken as
// it is needed and counted. One segment's worth is always held back, so that what must be copied to
// free a segment has a place.
//
// Eviction is S3-FIFO (Yang et al., SOSP 2023) by bands of size: a new record goes to its band's
// small log; at that log's old end it moves to the main log if it was read since, else it is
// dropped and the index remembers its hash (a ghost); a key that comes back while it is remembered
// goes to the main log at once. At the main log's old end a record that was read goes round again.
// The band to take from is the one with the largest age of its oldest x the root of its mean size.
// Before anything living is evicted, what has expired is taken (each segment knows when a good part
// of it will have), and when a tenth of the log is dead (overwritten, deleted), the deadest segment
// is compacted. Each store does some of this work ahead, the more the fuller the open segments are,
// so that none has to free a whole segment under the lock.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "common/base/time.h"
#include "common/engine/floors.h"
#include "common/engine/hash_index.h"
#include "common/engine/item.h"
#include "common/engine/page_pool.h"
#include "common/engine/segment_log.h"
#include "common/engine/shard_statistics.h"

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

// Where a walk stands. Starts at its default; ended when done.
struct cursor {
  std::uint64_t position = 0;
  std::uint16_t bucket = 0;
  std::uint16_t depth = 0;
  bool done = false;
  friend bool operator==(const cursor&, const cursor&) = default;
};

// Told of what leaves a shard, in the middle of the call that causes it; must not touch the shard.
class drop_listener {
 public:
  // `key` was dropped without a tombstone in a state that only this node knew.
  virtual void dropped_unshared(std::string_view key, version stored, version touched) noexcept = 0;
  // A visible value is being evicted; it lives until the call returns.
  virtual void evicted(const item_view& item, instant now) noexcept = 0;

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

  // --- ahead of reading or writing -----------------------------------------------------------
  // Bring what a look-up of `hash` will touch into the processor's cache: first the index (any
  // thread, without the owner's lock), and a little later the item. Looking up a batch of keys this
  // way costs a fraction of one by one.
  void prefetch_index(std::uint64_t hash) const noexcept { index_.prefetch_bucket(hash); }
  void prefetch_item(std::uint64_t hash) const noexcept { index_.prefetch_record(hash); }

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
  // A place for a large value of `size` bytes, to be filled outside the lock and stored later or
  // let go. Memory for its beginning (large_step bytes) comes with it, memory for more with each
  // extend_large(), which is to be called as the bytes come: it evicts, a bounded amount each time,
  // and nobody holds memory for bytes that never come. Null and false: too large for the limits,
  // nothing left to evict or no memory.
  large_ref reserve_large(std::size_t size, instant now);
  bool extend_large(large_value& value, instant now);
  static constexpr std::size_t large_step = std::size_t{32} << 10;
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
  // `value` comes from this shard's reserve_large(), is wholly written and is not written to any
  // more; under large_value_min bytes it is copied and let go.
  store_status store(std::uint64_t hash, std::string_view key, const item_meta& meta,
                     large_ref value, instant now);
  // Changes meta of the item under `key` (any kind) and keeps its kind and its value. False: no
  // such item, or no memory for its first touch version: then it is dropped and its floor raised,
  // as by an eviction.
  bool update_meta(std::uint64_t hash, std::string_view key, const item_meta& meta);
  // Removes whatever is under `key` without a tombstone; raises its floor to at least `floor` (0:
  // none) and the removed item's store. Returns whether something was there.
  bool drop(std::uint64_t hash, std::string_view key, version floor);

  // --- flush -------------------------------------------------------------------------------
  // Values whose stored version is <= watermark are gone from now on. Never moves back.
  void flush(version watermark);
  version flushed() const noexcept { return flushed_; }
  // Whether find() could return this item now.
  bool visible(const item_meta& meta, instant now) const noexcept;

  // --- floors ------------------------------------------------------------------------------
  // The highest stored version of anything dropped without a tombstone whose hash shares the slot.
  // Flushed items raise none (the watermark refuses them), nor do confirmed tombstones.
  version floor(std::uint64_t hash) const noexcept { return floors_.at(hash); }
  void raise_floor(std::uint64_t hash, version at_least) noexcept { floors_.raise(hash, at_least); }
  // The same for what only this node knew when it was dropped: states above `shared` issued by one
  // of `nodes` (a bit for each node id this process has used). The peer may still hold a state of
  // such a key whose store is below it, which nobody may see again.
  version unshared_floor(std::uint64_t hash) const noexcept { return unshared_floors_.at(hash); }
  void set_shared(version shared, unsigned nodes) noexcept {
    shared_ = shared;
    own_nodes_ = nodes;
  }
  // None by default; it outlives the shard.
  void set_drop_listener(drop_listener* listener) noexcept { drop_listener_ = listener; }

  // --- housekeeping ------------------------------------------------------------------------
  // Visits about `budget` records: reclaims expired and flushed values where they are due, and the
  // tombstones whose version is <= confirmed; the oldest tombstones are looked at first. Gives
  // back index memory when few items are left. Bounded by budget, not by contents. True: more is
  // due already.
  bool housekeep(unsigned budget, instant now, version confirmed_tombstones);

  // --- walking -----------------------------------------------------------------------------
  // Calls `visit` for the items (of any kind, visible or not) at the cursor's position and advances
  // it, until about `budget` items were seen (an empty position counts as one) or the walk is done.
  // Whole positions are visited, so it may go over by a few. `visit` must not change the shard.
  void walk(cursor& at, unsigned budget, const std::function<void(const item_view&)>& visit) const;

  // Where a walk begins that leaves out, but for some of the same page, what has a lower hash: a
  // walk goes by rising hash, a page at a time.
  cursor walk_from(std::uint64_t hash) const noexcept {
    cursor at;
    at.position = index_.position_of(hash);
    return at;
  }

  // --- memory and statistics ---------------------------------------------------------------
  // A lower limit is come to in bounded steps: each call evicts some of what is over it and sets
  // the limit that was reached; true: that is the one asked for. Without eviction, or when readers
  // hold more than the limit, it is in force although more is used, and what needs memory is
  // refused.
  bool set_limit(std::size_t memory_bytes, instant now);
  void set_item_size_max(std::size_t bytes) noexcept { limits_.item_size_max = bytes; }
  // What the owner uses (journal). Evicts what is over the limit then.
  void set_extra_bytes(std::size_t bytes, instant now);
  std::size_t used_bytes() const noexcept;
  const shard_limits& limits() const noexcept { return limits_; }
  // Of the log's segments; a shard of less than some 16 of them does badly.
  std::size_t segment_bytes() const noexcept { return log_.segment_bytes(); }
  shard_statistics statistics() const noexcept;
  void reset_statistics() noexcept;  // the counters; gauges stay
  // Whether index, queues and gauges agree, by a look at everything. For tests and fuzzers.
  bool consistent() const;

 private:
  // How far the eviction may be ahead with sparing what was read (evict_from()).
  static constexpr unsigned spared_max = 8192;

  // Where a sweep through a segment stands.
  struct sweep {
    std::uint32_t segment = no_segment;
    std::uint32_t offset = 0;
  };

  bool is_flushed(const record& r) const noexcept { return r.stored() <= flushed_; }
  static bool is_expired(const record& r, instant now) noexcept;
  // A value that find() would not return.
  bool is_dead(const record& r, instant now) const noexcept;

  // Storing.
  large_ref make_large(std::size_t size, std::size_t granted, instant now, store_status& status);
  bool grant(large_value& value, std::size_t upto, instant now);
  store_status put(std::uint64_t hash, std::string_view key, const item_meta& meta,
                   std::string_view value, large_ref large, instant now);
  bool overwrite(record* old, record::layout fields, std::size_t bytes, std::string_view key,
                 const item_meta& meta, std::string_view value, large_ref& large, instant now);
  store_status refuse(std::size_t bytes) noexcept;
  bool open_segment(log_id log, instant now);
  bool begin_segment(log_id log, std::uint32_t now) noexcept;
  bool grow_index(std::uint64_t hash, instant now);

  // Removing.
  void retire(record* r) noexcept;
  void remove(std::uint64_t hash, record* r, bool remember) noexcept;
  void give_up(std::uint64_t hash, record* r) noexcept;
  void reclaim(std::uint64_t hash, record* r, instant now) noexcept;
  record* oldest_tombstone() noexcept;
  void cap_tombstones() noexcept;
  void drop_confirmed(unsigned budget, version confirmed) noexcept;
  void forget(std::uint64_t hash, std::string_view key, version stored, version touched) noexcept;

  // Making room.
  std::size_t fixed_bytes() const noexcept;
  std::size_t held_back() const noexcept;
  bool can_free(std::size_t bytes) const noexcept;
  enum class need : std::uint8_t { segment, pages, index };
  bool make_room(need what, std::size_t bytes, instant now);
  std::size_t free_some(std::size_t budget, instant now);
  std::size_t ready_bytes() const noexcept;
  void work_ahead(std::size_t bytes, instant now);
  void settle(instant now);
  log_id eviction_choice() const noexcept;
  double age_of_oldest(const segment_log::log_state& log) const noexcept;
  std::size_t evict_from(log_id log, std::size_t budget, instant now);
  std::size_t compact(std::size_t budget);
  bool begin_copies(std::uint32_t victim, log_id to) noexcept;
  record* move(std::uint64_t hash, record* r, record* to) noexcept;
  std::size_t reclaim_due(unsigned budget, instant now);
  void plan_expiry(std::uint32_t number, std::uint32_t now) noexcept;
  void note_expiry(const record& r, std::uint32_t now) noexcept;
  record* next_slot(sweep& at) const noexcept;
  record* next_record(sweep& at) const noexcept;

  shard_limits limits_;
  segment_log log_;
  hash_index index_;
  floor_table floors_;
  floor_table unshared_floors_;
  version shared_;
  unsigned own_nodes_ = 0;
  drop_listener* drop_listener_ = nullptr;
  page_pool_ref large_;
  version flushed_;
  std::size_t extra_bytes_ = 0;
  instant latest_{};                 // of the last call that was given the time
  std::uint32_t stores_ = 0;         // the age of segments is counted in these
  unsigned may_spare_ = spared_max;  // records that were read, before the eviction drops one
  std::size_t large_claim_ = 0;  // memory to be ready for pages: some while they are being taken
  log_id last_evicted_ = log_count;
  bool borrowed_ = false;          // a sweep took the segment held back and has not freed one yet
  bool lent_ = false;              // the same of a compaction, whatever was free when it began
  std::size_t swept_in_vain_ = 0;  // bytes looked at for expired ones since a segment became free
  sweep compacting_, expiring_, confirming_;
  std::uint32_t next_due_ = never;  // no segment is due before
  std::uint32_t due_from_ = 0;      // the segment that was due last
  shard_statistics counted_;        // the counters
};

}  // namespace tandem::engine
