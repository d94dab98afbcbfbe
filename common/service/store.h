// The data of a node: power-of-two shards, each {lock, items, clock, journal}. The one place where
// a client's mutation becomes an item, a version and a journal entry, and where a peer's record is
// merged in.
//
// Threads: every public call of `store` may come from any thread. `locked` holds one shard's lock
// for its lifetime and belongs to the thread that made it; hold at most one at a time.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "common/base/hash.h"
#include "common/engine/shard.h"
#include "common/replication/clock.h"
#include "common/replication/data_port.h"
#include "common/replication/journal.h"
#include "common/replication/merge.h"
#include "common/service/ack_gate.h"

namespace tandem::service {

class watch_hub;

struct store_options {
  std::size_t shards = 1;  // a power of two; shard_count_for() knows a good one
  std::size_t memory_bytes = std::size_t{64} << 20;  // of everything: items, index, journals, ...
  std::size_t item_size_max = std::size_t{1} << 20;
  bool evict = true;
  bool cas = true;  // false: every CAS unique is 0, and takes 8 bytes
  std::size_t journal_bytes = std::size_t{4} << 20;  // of all shards' journals; inside memory_bytes
  unsigned node_id = 0;
};

// The next power of two >= 4 x threads, at most 256, each shard at least 16 MiB and roomy enough
// for three of the largest items: an append holds two at once.
std::size_t shard_count_for(unsigned threads, std::size_t memory_bytes, std::size_t item_size_max);

// A key and its hash, computed once.
struct hashed_key {
  std::string_view key;
  std::uint64_t hash;
  explicit hashed_key(std::string_view k) : key(k), hash(hash_key(k)) {}
  hashed_key(std::string_view k, std::uint64_t its_hash) : key(k), hash(its_hash) {}
};

class store final : public replication::data_port {
  struct partition final : engine::drop_listener {
    partition(std::size_t number, const engine::shard_limits& limits, std::size_t journal_bytes,
              std::atomic<std::uint64_t>& mutation_count)
        : index(number), items(limits), journal(journal_bytes), mutations(mutation_count) {
      items.set_drop_listener(this);
    }
    ~partition() = default;
    // What is evicted before the peer heard of it is still news: older states there are void.
    void dropped_unshared(std::string_view key, version stored, version touched) noexcept override {
      tell(key, stored, touched);
    }
    // Journals news that nothing else here can tell of.
    void tell(std::string_view key, version stored, version touched) {
      journal.append(stored, key, touched);
      news_end = journal.end();
      if (journal.recording()) mutations.fetch_add(1);
    }
    void evicted(const engine::item_view& item, instant now) noexcept override;
    // What exact positions need: whether read_journal has to give this state at an entry that names
    // `named`. If it was given before its own entry has come, it is not given again.
    bool speaks(version named, version held);

    const std::size_t index;
    mutable std::mutex mutex;
    engine::shard items;
    replication::hybrid_clock clock;
    replication::journal journal;
    version split_since;  // states above it were made after the link was lost
    replication::journal::position news_end = 0;  // after the last such news
    std::atomic<std::uint64_t>& mutations;        // the store's
    watch_hub* watchers = nullptr;                // the store's
    version confirmed;               // no state of this shard up to it is unknown to the peer
    std::size_t journal_charge = 0;  // of journal.bytes(), as the items' limit knows it
    // Given early since somebody began to read; forgotten when the next call does not go on there.
    std::unordered_set<std::uint64_t> given_early;
    replication::journal::position read_upto = 0;
  };

 public:
  explicit store(const store_options& options);

  // A CAS unique that a client chose (meta flag E); nothing: the version is it. The version orders
  // states either way.
  using own_cas = std::optional<std::uint64_t>;

  // One locked shard at one instant: what a client command does with a key.
  class locked {
   public:
    // The visible value. `access` false: a look that does not count for eviction or statistics.
    std::optional<engine::item_view> find(const hashed_key& k, bool access = true) {
      return shard_.items.find(k.hash, k.key, now_, access);
    }
    // Whatever is stored, tombstones and hidden values included; not an access.
    std::optional<engine::item_view> peek(const hashed_key& k) const {
      return shard_.items.find_any(k.hash, k.key);
    }
    bool visible(const engine::item_view& item) const {
      return item.meta.kind == engine::item_kind::value && shard_.items.visible(item.meta, now_);
    }
    struct put_result {
      engine::store_status status;
      version stored;                // the new version, when stored
      std::uint64_t cas_unique = 0;  // the new CAS unique, when stored
    };
    // Stores a value under a new version, which is its CAS unique unless it is given one.
    // Conditions (add, cas, ...) are the caller's, under the same lock.
    put_result put(const hashed_key& k, std::uint32_t flags, std::uint32_t exptime,
                   std::string_view value, std::uint8_t marks = 0, own_cas cas = {});
    put_result put(const hashed_key& k, std::uint32_t flags, std::uint32_t exptime,
                   engine::large_ref value, std::uint8_t marks = 0, own_cas cas = {});
    // Deletes whatever is there and leaves a tombstone. Also right when nothing visible is there.
    void remove(const hashed_key& k);
    // Changes the expiry of a visible item, and its marks if they are given; its CAS unique stays.
    // False: no such item.
    bool touch(const hashed_key& k, std::uint32_t exptime,
               std::optional<std::uint8_t> marks = std::nullopt);
    // Gives a visible item a new version, as a store does, without touching its value or flags.
    // out_of_memory: it is gone.
    put_result renew(const hashed_key& k, std::uint32_t exptime, std::uint8_t marks,
                     own_cas cas = {});
    // Room for a large value, to be filled without the lock and put() later; null: no room.
    engine::large_ref reserve(const hashed_key& k, std::size_t size);
    // Memory for the next bytes of such a value; false: there is none.
    bool extend(engine::large_value& value) { return shard_.items.extend_large(value, now_); }
    bool fits(std::size_t key_size, std::size_t value_size) const noexcept {
      return shard_.items.fits(key_size, value_size);
    }
    instant now() const noexcept { return now_; }
    // What the peer has to confirm before it is known to have all that happened here so far.
    ack_ticket ticket() const noexcept { return {shard_.index, shard_.journal.end()}; }

   private:
    friend class store;
    locked(store& owner, partition& shard, instant now)
        : owner_(owner), shard_(shard), guard_(shard.mutex), now_(now) {}
    engine::item_meta new_meta(std::uint32_t flags, std::uint32_t exptime, std::uint8_t marks,
                               own_cas cas);
    version issue() { return shard_.clock.issue(now_.wall, owner_.node_id()); }
    put_result finish_put(const hashed_key& k, const engine::item_meta& meta,
                          engine::store_status status);
    void journal(const hashed_key& k, version stored, version touched = {});

    store& owner_;
    partition& shard_;
    std::unique_lock<std::mutex> guard_;
    instant now_;
  };
  locked lock(const hashed_key& k, instant now) {
    if (const std::uint32_t due = flush_due_.load(std::memory_order_relaxed);
        due != 0 && due <= unix_seconds(now.wall))
      carry_out_due_flush(now);
    return {*this, partition_of(k.hash), now};
  }

  // Everything is as in a new store, but for the clocks, which go on. Nobody holds a large value of
  // it, and nobody brings anything into the processor's cache meanwhile.
  void forget(instant now);

  // A version above all that the key's shard has seen, for what is stored elsewhere.
  version issue(const hashed_key& k, instant now);

  // Ahead of a batch of commands: brings what they will touch into the processor's cache, first the
  // index of all their keys, then all their items. A shard that is busy is passed over.
  void prefetch_index(std::uint64_t hash) const noexcept {
    partition_of(hash).items.prefetch_index(hash);
  }
  void prefetch_item(std::uint64_t hash) const noexcept;

  // flush_all: everything stored so far goes now, or, with `at` (Unix seconds) in the future,
  // everything stored before that moment goes then. Returns the number of the register's state.
  replication::journal::position flush_all(std::uint32_t at, instant now);

  // Reclaims expired, flushed and confirmed memory a little, and carries out a due flush. To be
  // called a few times a second; each call is bounded.
  void housekeep(instant now);

  // Sums over all shards, and one by one.
  engine::shard_statistics statistics() const;
  void reset_statistics();
  std::size_t used_bytes() const;
  std::size_t journal_bytes() const;  // a part of used_bytes()
  std::size_t memory_limit() const noexcept {
    return memory_limit_.load(std::memory_order_relaxed);
  }
  // The limit from now on; the journals keep their part of it. A lower one is reached step by step,
  // by housekeep(). False, and nothing changed: shards made for the first limit could not do with
  // so little or so much (store_memory.cc).
  bool set_memory_limit(std::size_t bytes, instant now);
  // What the shards' logs are cut into.
  std::size_t segment_bytes() const noexcept { return partitions_.front()->items.segment_bytes(); }
  std::size_t item_size_max() const noexcept { return options_.item_size_max; }
  bool evicts() const noexcept { return options_.evict; }
  bool gives_cas() const noexcept { return options_.cas; }
  // Calls `visit` for the visible values at the cursor's position of a shard, under its lock, and
  // advances it past about `budget` items. `visit` must not call the store. What exists from the
  // walk's start to its end is seen at least once.
  void walk_values(std::size_t shard, engine::cursor& at, unsigned budget, instant now,
                   const std::function<void(const engine::item_view&)>& visit) const;
  // Evictions and what the peer's records come to are told there from now on. Before any thread
  // uses the store; the hub outlives it.
  void set_watchers(watch_hub& hub);
  watch_hub* watchers() const noexcept { return watchers_; }  // null: none set
  // What the peer confirms is told there from now on. Before any thread uses the store; the gate
  // outlives it.
  void set_acks(ack_gate& gate) noexcept {
    acks_ = &gate;
    exact_ = true;
  }
  // A position of the journal is a promise from now on: whoever has read up to it has been given
  // the then current state of every key named before it, or a later one. Without, a key that
  // changes often is given only where it is named last. Before any thread uses the store.
  void set_exact() noexcept { exact_ = true; }
  // A digest of all visible items (key, everything of their meta, value), equal on two nodes that
  // hold the same whatever their shard counts, and how many items it covers.
  struct digest_result {
    std::uint64_t digest = 0;
    std::uint64_t items = 0;
  };
  digest_result digest(instant now) const;

  // Bumped by every mutation that was journaled. Sequentially consistent: a link that arms its
  // wake-up and then reads the same number has missed nothing.
  std::uint64_t mutations() const noexcept override { return mutations_.load(); }
  unsigned node_id() const noexcept { return node_id_.load(std::memory_order_relaxed); }

  // --- replication::data_port ----------------------------------------------------------------
  std::size_t shard_count() const override { return partitions_.size(); }
  bool empty() const override;
  void set_node_id(unsigned id, instant now) override;
  replication::journal::position start_journal(std::size_t shard) override;
  void stop_journal(std::size_t shard) override;
  replication::journal::position journal_begin(std::size_t shard) const override;
  replication::journal::position journal_end(std::size_t shard) const override;
  version journal_version(std::size_t shard, replication::journal::position at) const override;
  replication::journal::position read_journal(std::size_t shard,
                                              replication::journal::position from, instant now,
                                              const replication::record_sink& sink) override;
  bool news_after(std::size_t shard, replication::journal::position from) const override;
  void scan(std::size_t shard, engine::cursor& at, unsigned budget, version newer_than, instant now,
            const replication::record_sink& sink) override;
  engine::cursor scan_from(std::size_t shard, std::uint64_t hash) const override {
    return partitions_[shard]->items.walk_from(hash);  // needs no lock: it is arithmetic
  }
  standing check(std::string_view key, version changed) const override;
  void confirm(std::size_t shard, replication::journal::position upto, bool all_older) override;
  void confirm_flush(replication::journal::position state) override;
  version confirmed(std::size_t shard) const override;
  replication::flush_state flush() const override;
  std::uint64_t items() const override;
  version look(std::string_view key, instant now,
               const replication::record_sink& sink) const override;
  void journal_again(std::string_view key) override;
  replication::apply_status apply(const replication::record& incoming, instant now) override;
  void apply_all(std::span<const replication::record> incoming, instant now,
                 std::span<replication::apply_status> results) override;
  version highest() const override;
  void observe(version seen) override;
  engine::large_ref reserve(std::string_view key, std::size_t size, instant now) override;
  bool extend(std::string_view key, engine::large_value& value, instant now) override;
  void apply_flush(const replication::flush_state& incoming, instant now) override;
  void begin_split() override;
  void count_conflicts() override;
  replication::split_report end_split() override;

 private:
  partition& partition_of(std::uint64_t hash) const {
    return *partitions_[hash & (partitions_.size() - 1)];
  }
  // Hides everything stored up to now and returns the watermark that does.
  version raise_watermark(version at_least, instant now);
  void carry_out_due_flush(instant now);
  void follow_memory_limit(instant now);
  void answer_stale(partition& p, const hashed_key& k, version stored);
  replication::apply_status apply_locked(partition& p, const hashed_key& k,
                                         const replication::record& incoming, instant now);
  replication::apply_status apply_to(partition& p, const hashed_key& k,
                                     const replication::record& incoming, instant now);
  void note_conflict(const partition& p, const engine::item_view& local,
                     const replication::record& incoming, replication::merge_verdict verdict);

  const store_options options_;  // memory_bytes: the first limit
  std::atomic<std::size_t> memory_limit_{options_.memory_bytes};
  std::mutex limit_mutex_;
  std::size_t highest_limit_ = options_.memory_bytes;
  std::atomic<std::uint64_t> mutations_{0};
  std::vector<std::unique_ptr<partition>> partitions_;
  watch_hub* watchers_ = nullptr;
  bool exact_ = false;
  ack_gate* acks_ = nullptr;  // null: nobody waits for what the peer confirms
  std::atomic<unsigned> node_id_;
  std::atomic<unsigned> node_ids_used_{0};  // a bit for each
  mutable std::mutex flush_mutex_;          // taken before a shard's lock, never after
  replication::flush_state flush_;
  std::atomic<bool> counting_conflicts_{false};
  std::mutex split_mutex_;                   // taken under a shard's lock, never around one
  replication::split_report split_;          // under split_mutex_
  std::atomic<std::uint32_t> flush_due_{0};  // flush_.pending_at, for a look without the lock
};

}  // namespace tandem::service
