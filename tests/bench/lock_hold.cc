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
//
//   fill       items of 100 bytes, a quarter more than fit: index splits, then eviction
//   overwrite  +-50 % sizes, finds, touches, deletes: compaction, tombstones
//   large      4 KB to 1 MB in steps, to 64 KB at once (as much as the server copies under a lock),
//              some held by readers; small ones after
//   readall    all found three times (the last is timed), then new ones: eviction spares those
//   storm      a tenth expires in one second; housekeeping until it is reclaimed
//   flush      all is flushed, half the shards reclaimed by housekeeping; all refilled
//   tiny       the smallest items, all with an expiry: most records to a segment
//
// Exit status: 0, 1 a call took longer than 1 ms, 2 usage.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/prng.h"
#include "tests/bench/content.h"
#include "tests/bench/hold_times.h"
#include "tests/bench/paging.h"
#include "tests/bench/timed_shards.h"

namespace {

using namespace tandem;         // NOLINT(google-build-using-namespace)
using namespace tandem::bench;  // NOLINT(google-build-using-namespace)

struct arguments {
  std::uint64_t items = 20'000'000;  // that are to fit
  std::size_t mib = 3072;            // of all shards
  unsigned shards = 4;
  std::vector<std::string> phases = {"overwrite", "large", "readall", "storm", "flush", "tiny"};
  unsigned passes = 3;
  std::uint64_t seed = 1;
  bool without_paging = false;
};

// ---- phases ----------------------------------------------------------------------------------

class workload {
 public:
  workload(const arguments& given, hold_times& times, bool last_pass)
      : items_(given.items),
        shards_(given.shards, given.mib << 20, times, last_pass),
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
  static constexpr std::size_t copied_max = std::size_t{64} << 10;
  static constexpr std::uint64_t large_ids = std::uint64_t{1} << 40;  // where their ids begin
  static constexpr std::uint64_t tiny_ids = std::uint64_t{1} << 41;

  template <class Body>
  void phase(const std::string& name, const Body& body) {
    shards_.begin_phase(name);
    body();
    shards_.print_state();
  }

  std::uint64_t any_id() { return first_ + random_.below(next_ - first_); }
  void store_new(std::uint64_t count, std::uint32_t exptime = 0) {
    for (std::uint64_t n = 0; n < count; ++n) {
      const std::uint64_t id = next_++;
      shards_.store(call::store_new, key_name(id).view(), values_.make(id, value_size), exptime);
      if (n % 8 == 0) shards_.find(key_name(any_id()).view());
      shards_.upkeep();
    }
  }

  void overwrite(std::uint64_t count) {
    for (std::uint64_t n = 0; n < count; ++n) {
      const std::uint64_t id = any_id();
      const key_name key(id);
      const std::uint64_t dice = random_.below(100);
      if (dice < 60)
        shards_.store(call::overwrite, key.view(),
                      values_.make(id, value_size / 2 + random_.below(value_size + 1)));
      else if (dice < 90)
        shards_.find(key.view());
      else if (dice < 95)
        shards_.touch(key.view(), 0);
      else
        shards_.remove(key.view());
      shards_.upkeep();
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
        shards_.store_in_steps(key.view(), size);
      else
        shards_.store(call::copy_large, key.view(), values_.make(id, std::min(size, copied_max)));
      readers.push_back(shards_.find(key_name(large_ids + random_.below(count)).view()));
      if (readers.size() > 64) readers.pop_front();
      store_new(10);
    }
    readers.clear();
    store_new(items_ / 4);
  }

  void read_all() {
    for (unsigned round = 0; round < 3; ++round)
      for (std::uint64_t id = first_; id < next_; ++id)
        shards_.find(key_name(id).view(), round == 2);
    store_new(items_ / 4);
  }

  void storm(std::uint64_t count) {
    store_new(count, shards_.seconds() + 600);
    shards_.advance(std::chrono::seconds(601));
    housekeep_all(shards_.count());
    store_new(count);
  }
  // Until nothing is due, in the first so many shards, while they are used.
  void housekeep_all(std::size_t shards) {
    for (std::size_t n = 0; n < shards; ++n)
      while (shards_.housekeep(n)) store_new(1);
  }

  void flush() {
    for (std::size_t n = 0; n < shards_.count(); ++n) shards_.flush(n);
    housekeep_all(shards_.count() / 2);
    first_ = next_;
    store_new(items_ + items_ / 4);
  }

  void tiny(std::uint64_t count) {
    for (std::uint64_t n = 0; n < count; ++n) {
      const std::uint64_t id = tiny_ids + n;
      const std::string_view key(reinterpret_cast<const char*>(&id), 6);
      shards_.store(call::store_new, key, "x",
                    shards_.seconds() + static_cast<std::uint32_t>(30 + random_.below(300)));
      shards_.upkeep();
    }
    for (unsigned n = 0; n < 40; ++n) {
      shards_.advance(std::chrono::seconds(10));
      housekeep_all(shards_.count());
    }
  }

  const std::uint64_t items_;
  std::uint64_t first_ = 0, next_ = 0;  // the ids in use
  timed_shards shards_;
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
