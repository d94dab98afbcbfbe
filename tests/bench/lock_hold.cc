// How long each call of a shard takes, that is, how long its lock would be held: every call is
// timed, through phases that make the engine do all it ever has to do under the lock. Prints, per
// kind of call, a histogram and the longest, then the longest of each phase and the slow calls one
// by one.
//
//   tandem_lock_hold [--items N] [--mib M] [--shards S] [--phases a,b,...] [--passes P] [--seed S]
//                    [--without-paging]
//
// Time is that of the thread's CPU clock (CLOCK_THREAD_CPUTIME_ID). What others run on the machine
// counts little then, but some of it does: switching between them, and whatever a hypervisor takes.
// So everything is run P times (3), the same each time, calls that took 16 us or more are timed
// again, and the shortest time counts. Reading the clock is part of each time; the first line says
// how long it takes. In the last pass the slow calls are listed, with what the shard did in them.
//
// --without-paging: the time in which the kernel gives memory and takes it back does not count
// (paging.h).
//
// Phases (fill always comes first; each adds to what those before left):
//   fill        items of 100 bytes, a quarter more than fit: index splits, then eviction
//   overwrite   +-50 % sizes, finds, touches, deletes: compaction, tombstones
//   large       values of 4 KB to 1 MB, in steps and at once, some held by readers; small ones
//   after readall     every item found three times (only the last are timed), then new ones: the
//   eviction must spare what was read storm       a tenth of the items expires in one second;
//   housekeeping until it is reclaimed flush       everything is flushed, reclaimed by housekeeping
//   in half the shards; refilled tiny        the smallest items, all with an expiry: most records
//   to a segment
//
// Exit status: 0, 1 a call took longer than 1 ms, 2 usage.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/base/prng.h"
#include "common/engine/shard.h"
#include "tests/bench/content.h"
#include "tests/bench/hold_times.h"
#include "tests/bench/paging.h"

namespace {

using namespace tandem;         // NOLINT(google-build-using-namespace)
using namespace tandem::bench;  // NOLINT(google-build-using-namespace)

constexpr std::size_t slow_calls_max = 8;  // that are listed, of a phase

struct arguments {
  std::uint64_t items = 20'000'000;  // that are to fit
  std::size_t mib = 3072;            // of all shards
  unsigned shards = 4;
  std::vector<std::string> phases = {"overwrite", "large", "readall", "storm", "flush", "tiny"};
  unsigned passes = 3;
  std::uint64_t seed = 1;
  bool without_paging = false;
};

// ---- the shards, and every call to them timed -------------------------------------------------

class cache {
 public:
  cache(const arguments& given, hold_times& times, bool last_pass)
      : times_(times), last_pass_(last_pass) {
    engine::shard_limits limits;
    limits.memory_bytes = (given.mib << 20) / given.shards;
    for (unsigned n = 0; n < given.shards; ++n)
      shards_.push_back(std::make_unique<engine::shard>(limits));
    cursors_.resize(given.shards);
  }

  void begin_phase(const std::string& name) {
    phase_ = name;
    times_.begin_phase(name);
    slow_ = 0;
  }
  void advance(std::chrono::seconds by) {
    now_.wall += by;
    now_.steady += by;
  }
  std::uint32_t seconds() const { return unix_seconds(now_.wall); }
  std::size_t shard_count() const { return shards_.size(); }

  void store(call kind, std::string_view key, std::string_view value, std::uint32_t exptime = 0) {
    const std::uint64_t hash = hash_key(key);
    const engine::item_meta meta = new_meta(exptime);
    timed(kind, hash, [&](engine::shard& s) { (void)s.store(hash, key, meta, value, now_); });
  }
  // As a server does with the bytes that come: a reservation, steps, the store. Filling it is done
  // without the lock.
  void store_in_steps(std::string_view key, std::size_t size) {
    const std::uint64_t hash = hash_key(key);
    engine::large_ref place;
    timed(call::reserve, hash, [&](engine::shard& s) { place = s.reserve_large(size, now_); });
    if (!place) return;
    for (std::size_t filled = 0;;) {
      for (; filled < place->granted(); filled += place->writable_at(filled).size())
        std::fill_n(place->writable_at(filled).data(), place->writable_at(filled).size(), 'x');
      if (filled == size) break;
      bool more = false;
      timed(call::extend, hash, [&](engine::shard& s) { more = s.extend_large(*place, now_); });
      if (!more) return;
    }
    const engine::item_meta meta = new_meta(0);
    timed(call::store_large, hash,
          [&](engine::shard& s) { (void)s.store(hash, key, meta, std::move(place), now_); });
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
    timed(call::remove, hash,
          [&](engine::shard& s) { (void)s.store(hash, key, meta, std::string_view(), now_); });
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
                " moved_mib=%" PRIu64 " compacted_mib=%" PRIu64 " calls=%" PRIu64 "\n",
                phase_.c_str(), t.items, t.tombstones, used >> 20, t.index_bytes >> 20,
                t.large_bytes >> 20, t.evictions, t.reclaimed, t.moved_bytes >> 20,
                t.compacted_bytes >> 20, times_.number());
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
    if (last_pass_) {
      before = s.statistics();
      faults = page_faults();
    }
    const std::uint64_t begin = cpu_ns(), paging = paging_ns();
    make(s);
    const std::uint64_t ns = cpu_ns() - begin - (paging_ns() - paging);
    if (!times_.end_call(ns) || !last_pass_ || ++slow_ > slow_calls_max) return;
    std::printf("slow: call %" PRIu64 " %s in %s: %.0f us this time; faults %" PRId64,
                times_.number(), call_names[static_cast<std::size_t>(kind)], phase_.c_str(),
                hold_times::us(ns), page_faults() - faults);
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
  const bool last_pass_;
  instant now_{wall_time{std::chrono::seconds(1'767'225'600)}, {}};  // 2026-01-01
  std::vector<std::unique_ptr<engine::shard>> shards_;
  std::vector<engine::cursor> cursors_;
  std::string phase_;
  std::uint64_t steps_ = 0, slow_ = 0;
};

// ---- phases ----------------------------------------------------------------------------------

class workload {
 public:
  workload(const arguments& given, hold_times& times, bool last_pass)
      : items_(given.items),
        cache_(given, times, last_pass),
        random_(given.seed),
        values_(std::size_t{1} << 20) {}

  void run(const std::vector<std::string>& phases) {
    phase("fill", [this] { store_new(items_ + items_ / 4); });
    for (const std::string& name : phases) {
      if (name == "overwrite") phase(name, [this] { overwrite(items_ / 2); });
      if (name == "large") phase(name, [this] { large(items_ / 1000); });
      if (name == "readall") phase(name, [this] { read_all(); });
      if (name == "storm") phase(name, [this] { storm(items_ / 10); });
      if (name == "flush") phase(name, [this] { flush(); });
      if (name == "tiny") phase(name, [this] { tiny(items_); });
    }
  }

 private:
  static constexpr std::size_t value_size = 100;
  static constexpr std::uint64_t large_ids = std::uint64_t{1} << 40;  // where their ids begin
  static constexpr std::uint64_t tiny_ids = std::uint64_t{1} << 41;

  template <class Body>
  void phase(const std::string& name, const Body& body) {
    cache_.begin_phase(name);
    body();
    cache_.print_state();
  }

  std::uint64_t any_id() { return first_ + random_.below(next_ - first_); }
  void store_new(std::uint64_t count, std::uint32_t exptime = 0) {
    for (std::uint64_t n = 0; n < count; ++n) {
      const std::uint64_t id = next_++;
      cache_.store(call::store_new, key_name(id).view(), values_.make(id, value_size), exptime);
      if (n % 8 == 0) cache_.find(key_name(any_id()).view());
      cache_.upkeep();
    }
  }

  void overwrite(std::uint64_t count) {
    for (std::uint64_t n = 0; n < count; ++n) {
      const std::uint64_t id = any_id();
      const key_name key(id);
      const std::uint64_t dice = random_.below(100);
      if (dice < 60)
        cache_.store(call::overwrite, key.view(),
                     values_.make(id, value_size / 2 + random_.below(value_size + 1)));
      else if (dice < 90)
        cache_.find(key.view());
      else if (dice < 95)
        cache_.touch(key.view(), 0);
      else
        cache_.remove(key.view());
      cache_.upkeep();
    }
  }

  // Sizes so that each power of two is as frequent.
  void large(std::uint64_t count) {
    std::deque<engine::large_ref> readers;
    for (std::uint64_t n = 0; n < count; ++n) {
      const std::uint64_t id = large_ids + random_.below(count);
      const key_name key(id);
      const double power = static_cast<double>(random_.below(8000)) / 1000;
      const auto size = static_cast<std::size_t>(4096 * std::exp2(power)) - 512;
      if (n % 2 == 0)
        cache_.store_in_steps(key.view(), size);
      else
        cache_.store(call::copy_large, key.view(), values_.make(id, size));
      readers.push_back(cache_.find(key_name(large_ids + random_.below(count)).view()));
      if (readers.size() > 64) readers.pop_front();
      store_new(10);
    }
    readers.clear();
    store_new(items_ / 4);
  }

  void read_all() {
    for (unsigned round = 0; round < 3; ++round)
      for (std::uint64_t id = first_; id < next_; ++id)
        cache_.find(key_name(id).view(), round == 2);
    store_new(items_ / 4);
  }

  void storm(std::uint64_t count) {
    store_new(count, cache_.seconds() + 600);
    cache_.advance(std::chrono::seconds(601));
    housekeep_all(cache_.shard_count());
    store_new(count);
  }
  // Until nothing is due, in the first so many shards, while they are used.
  void housekeep_all(std::size_t shards) {
    for (std::size_t n = 0; n < shards; ++n)
      while (cache_.housekeep(n)) store_new(1);
  }

  void flush() {
    for (std::size_t n = 0; n < cache_.shard_count(); ++n) cache_.flush(n);
    housekeep_all(cache_.shard_count() / 2);
    first_ = next_;
    store_new(items_ + items_ / 4);
  }

  void tiny(std::uint64_t count) {
    for (std::uint64_t n = 0; n < count; ++n) {
      const std::uint64_t id = tiny_ids + n;
      const std::string_view key(reinterpret_cast<const char*>(&id), 6);
      cache_.store(call::store_new, key, "x",
                   cache_.seconds() + static_cast<std::uint32_t>(30 + random_.below(300)));
      cache_.upkeep();
    }
    for (unsigned n = 0; n < 40; ++n) {
      cache_.advance(std::chrono::seconds(10));
      housekeep_all(cache_.shard_count());
    }
  }

  const std::uint64_t items_;
  std::uint64_t first_ = 0, next_ = 0;  // the ids in use
  cache cache_;
  prng random_;
  value_maker values_;
};

int run(const arguments& given) {
  if (given.without_paging) count_paging();
  std::vector<std::uint64_t> readings(1001);
  for (std::uint64_t& r : readings) r = cpu_ns();
  std::printf("items=%" PRIu64 " mib=%zu shards=%u clock_ns=%.0f%s\n", given.items, given.mib,
              given.shards, static_cast<double>(readings.back() - readings.front()) / 1000,
              given.without_paging ? " without_paging" : "");
  hold_times times;
  for (unsigned pass = 1; pass <= given.passes; ++pass) {
    times.begin_pass();
    workload(given, times, pass == given.passes).run(given.phases);
  }
  times.print();
  return times.all_within_limit() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  arguments given;
  CLI::App app("Measures how long each call of a shard takes.");
  app.add_option("--items", given.items, "of 100 bytes, that are to fit");
  app.add_option("--mib", given.mib, "of all shards");
  app.add_option("--shards", given.shards, "a power of two");
  app.add_option("--phases", given.phases, "after the fill, in this order")
      ->delimiter(',')
      ->check(CLI::IsMember({"overwrite", "large", "readall", "storm", "flush", "tiny"}));
  app.add_option("--passes", given.passes, "of everything")->check(CLI::Range(1U, 100U));
  app.add_option("--seed", given.seed, "of everything random");
  app.add_flag("--without-paging", given.without_paging, "the kernel's time does not count");
  try {
    app.parse(argc, argv);
    if (!std::has_single_bit(given.shards)) throw CLI::ValidationError("--shards");
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : 2;
  }
  return run(given);
}
