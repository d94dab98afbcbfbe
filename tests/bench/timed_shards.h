// Shards of which every call is timed (lock_hold.cc), and what a server does with them besides
// serving.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/hash.h"
#include "common/engine/shard.h"
#include "tests/bench/hold_times.h"
#include "tests/bench/paging.h"

namespace tandem::bench {

constexpr std::size_t slow_calls_max = 4;  // that are listed, of a kind in a phase

// One thread. Its clock goes on by a microsecond with each change.
class timed_shards {
 public:
  // `count` is a power of two; `memory_bytes` of them all. Slow calls are listed if `list`.
  timed_shards(std::size_t count, std::size_t memory_bytes, hold_times& times, bool list)
      : times_(times), list_(list), cursors_(count) {
    engine::shard_limits limits;
    limits.memory_bytes = memory_bytes / count;
    for (std::size_t n = 0; n < count; ++n)
      shards_.push_back(std::make_unique<engine::shard>(limits));
  }

  void begin_phase(const std::string& name) {
    phase_ = name;
    times_.begin_phase(name);
    slow_ = {};
  }
  void advance(std::chrono::seconds by) {
    now_.wall += by;
    now_.steady += by;
  }
  std::uint32_t seconds() const { return unix_seconds(now_.wall); }
  std::size_t count() const { return shards_.size(); }

  void store(call kind, std::string_view key, std::string_view value, std::uint32_t exptime = 0) {
    const std::uint64_t hash = hash_key(key);
    const engine::item_meta meta = new_meta(exptime);
    timed(kind, hash,
          [&](engine::shard& s) { count_refused(s.store(hash, key, meta, value, now_)); });
  }
  // As a server does with the bytes that come: a reservation, steps, the store. Filling it is done
  // without the lock.
  void store_in_steps(std::string_view key, std::size_t size) {
    const std::uint64_t hash = hash_key(key);
    engine::large_ref place;
    timed(call::reserve, hash, [&](engine::shard& s) { place = s.reserve_large(size, now_); });
    if (!place) {
      ++refused_;
      return;
    }
    for (std::size_t filled = 0;;) {
      for (; filled < place->granted(); filled += place->writable_at(filled).size())
        std::fill_n(place->writable_at(filled).data(), place->writable_at(filled).size(), 'x');
      if (filled == size) break;
      bool more = false;
      timed(call::extend, hash, [&](engine::shard& s) { more = s.extend_large(*place, now_); });
      if (!more) {
        ++refused_;
        return;
      }
    }
    const engine::item_meta meta = new_meta(0);
    timed(call::store_large, hash, [&](engine::shard& s) {
      count_refused(s.store(hash, key, meta, std::move(place), now_));
    });
  }
  // The large value found, if any, as a slow reader holds it.
  engine::large_ref find(std::string_view key, bool take_time = true) {
    const std::uint64_t hash = hash_key(key);
    std::optional<engine::item_view> item;
    if (!take_time)
      item = shard_of(hash).find(hash, key, now_);
    else
      timed(call::find, hash, [&](engine::shard& s) { item = s.find(hash, key, now_); });
    if (!item || item->large == nullptr) return {};
    return engine::large_ref(const_cast<engine::large_value*>(item->large));
  }
  void touch(std::string_view key, std::uint32_t exptime) {
    const std::uint64_t hash = hash_key(key);
    const auto item = shard_of(hash).find(hash, key, now_, false);
    if (!item) return;
    engine::item_meta meta = item->meta;
    meta.touched = new_meta(0).stored;
    meta.exptime = exptime;
    timed(call::touch, hash, [&](engine::shard& s) { (void)s.update_meta(hash, key, meta); });
  }
  void remove(std::string_view key) {
    const std::uint64_t hash = hash_key(key);
    engine::item_meta meta = new_meta(0);
    meta.kind = engine::item_kind::tombstone;
    timed(call::remove, hash, [&](engine::shard& s) {
      count_refused(s.store(hash, key, meta, std::string_view(), now_));
    });
  }
  // True: more is due already.
  bool housekeep(std::uint64_t shard) {
    bool more = false;
    const version confirmed(version::ticks_at(now_.wall - std::chrono::seconds(1)), 0);
    timed(call::housekeep, shard,
          [&](engine::shard& s) { more = s.housekeep(256, now_, confirmed); });
    return more;
  }
  void flush(std::uint64_t shard) {
    const version upto = new_meta(0).stored;
    timed(call::flush, shard, [&](engine::shard& s) { s.flush(upto); });
  }

  // What goes on beside any traffic: now and then a step of a walk, housekeeping, statistics, a
  // change of the journal's size.
  void upkeep() {
    ++steps_;
    if (steps_ % 16 == 0) walk(steps_ / 16 % shards_.size());
    if (steps_ % 4096 == 0) housekeep(steps_ / 4096);
    if (steps_ % 65536 != 0) return;
    timed(call::statistics, steps_ / 65536, [](engine::shard& s) { (void)s.statistics(); });
    const std::size_t journal = (steps_ / 65536 % 64) << 14;
    for (std::uint64_t n = 0; n < shards_.size(); ++n)
      timed(call::extra_bytes, n, [&](engine::shard& s) { s.set_extra_bytes(journal, now_); });
  }

  void print_state() const {
    engine::shard_statistics t;
    std::size_t used = 0;
    for (const auto& s : shards_) {
      t += s->statistics();
      used += s->used_bytes();
    }
    std::printf("%-9s items=%" PRIu64 " tombstones=%" PRIu64 " used_mib=%zu index_mib=%" PRIu64
                " large_mib=%" PRIu64 " evictions=%" PRIu64 " reclaimed=%" PRIu64
                " moved_mib=%" PRIu64 " compacted_mib=%" PRIu64 " refused=%" PRIu64
                " calls=%" PRIu64 "\n",
                phase_.c_str(), t.items, t.tombstones, used >> 20, t.index_bytes >> 20,
                t.large_bytes >> 20, t.evictions, t.reclaimed, t.moved_bytes >> 20,
                t.compacted_bytes >> 20, refused_, times_.number());
    std::fflush(stdout);
  }

 private:
  engine::shard& shard_of(std::uint64_t hash) { return *shards_[hash & (shards_.size() - 1)]; }
  engine::item_meta new_meta(std::uint32_t exptime) {
    now_.wall += std::chrono::microseconds(1);
    now_.steady += std::chrono::microseconds(1);
    engine::item_meta meta;
    meta.stored = version(version::ticks_at(now_.wall), 0);
    meta.exptime = exptime;
    return meta;
  }
  void count_refused(engine::store_status status) {
    if (status != engine::store_status::stored) ++refused_;
  }
  void walk(std::uint64_t shard) {
    engine::cursor& at = cursors_[shard];
    if (at.done) at = {};
    std::size_t seen = 0;
    timed(call::walk, shard, [&](engine::shard& s) {
      s.walk(at, 32, [&](const engine::item_view& item) { seen += item.value_size(); });
    });
  }

  template <class Call>
  void timed(call kind, std::uint64_t hash, const Call& make) {
    engine::shard& s = shard_of(hash);
    if (!times_.begin_call(kind)) return make(s);
    engine::shard_statistics before;
    std::int64_t faults = 0;
    if (list_) {
      before = s.statistics();
      faults = page_faults();
    }
    const std::uint64_t begin = cpu_ns(), paging = paging_ns();
    make(s);
    const std::uint64_t ns = cpu_ns() - begin - (paging_ns() - paging);
    const auto k = static_cast<std::size_t>(kind);
    if (!times_.end_call(ns) || !list_ || ++slow_[k] > slow_calls_max) return;
    std::printf("slow: call %" PRIu64 " %s in %s: %.0f us this time; faults %" PRId64,
                times_.number(), call_names[k], phase_.c_str(), hold_times::us(ns),
                page_faults() - faults);
    print_change(before, s.statistics());
    std::printf("\n");
  }
  static void print_change(const engine::shard_statistics& a, const engine::shard_statistics& b) {
    const auto difference = [](std::uint64_t before, std::uint64_t after) {
      return static_cast<std::int64_t>(after - before);
    };
    std::printf(" evicted %" PRId64 " reclaimed %" PRId64 " moved %" PRId64 " B compacted %" PRId64
                " B log %+" PRId64 " index %+" PRId64 " large %+" PRId64 " warm %+" PRId64,
                difference(a.evictions, b.evictions), difference(a.reclaimed, b.reclaimed),
                difference(a.moved_bytes, b.moved_bytes),
                difference(a.compacted_bytes, b.compacted_bytes),
                difference(a.log_bytes, b.log_bytes), difference(a.index_bytes, b.index_bytes),
                difference(a.large_bytes, b.large_bytes), difference(a.warm_bytes, b.warm_bytes));
  }

  hold_times& times_;
  const bool list_;
  instant now_{wall_time{std::chrono::seconds(1'767'225'600)}, {}};  // 2026-01-01
  std::vector<std::unique_ptr<engine::shard>> shards_;
  std::vector<engine::cursor> cursors_;
  std::string phase_;
  std::array<unsigned, call_count> slow_{};  // of the phase
  std::uint64_t steps_ = 0, refused_ = 0;
};

}  // namespace tandem::bench
