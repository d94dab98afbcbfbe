// The times that lock_hold.cc takes of the calls of a run, which is repeated exactly: the n-th call
// is the same each time, and the shortest of its times is the one that nothing else disturbed.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "common/base/check.h"

namespace tandem::bench {

enum class call : std::uint8_t {
  store_new,
  overwrite,
  find,
  touch,
  remove,
  housekeep,
  walk,
  reserve,
  extend,
  store_large,
  copy_large,
  extra_bytes,
  flush,
  statistics,
};
constexpr std::array call_names = {"store new",  "overwrite", "find",    "touch",     "delete",
                                   "housekeep",  "walk(32)",  "reserve", "extend",    "store large",
                                   "copy large", "set extra", "flush",   "statistics"};
constexpr std::size_t call_count = call_names.size();
static_assert(call_count <= 16);

// Of the calling thread.
inline std::uint64_t cpu_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(t.tv_nsec);
}

inline std::int64_t page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt;
}

class hold_times {
 public:
  static constexpr std::uint64_t limit_ns = 1'000'000;

  void begin_pass() {
    next_ = 0;
    ++pass_;
  }
  void begin_phase(const std::string& name) {
    if (pass_ == 1) phases_.push_back({name, next_});
  }
  // The next call is of this kind. False: it was short before and is not timed again.
  bool begin_call(call kind) {
    if (pass_ == 1) lowest_.push_back(static_cast<std::uint32_t>(kind) << kind_shift | ns_mask);
    CHECK(next_ < lowest_.size() && kind_of(next_) == kind);
    return ns_of(next_++) > again_ns;
  }
  // What that call took, after begin_call() returned true. True: it has always been over the limit.
  bool end_call(std::uint64_t ns) {
    std::uint32_t& lowest = lowest_[next_ - 1];
    const std::uint64_t least = std::min<std::uint64_t>(ns, lowest & ns_mask);
    lowest = (lowest & ~ns_mask) | static_cast<std::uint32_t>(least);
    return least > limit_ns;
  }
  std::uint64_t number() const { return next_; }  // of the call that began last

  bool all_within_limit() const {
    return std::all_of(lowest_.begin(), lowest_.end(),
                       [](std::uint32_t word) { return (word & ns_mask) <= limit_ns; });
  }

  void print() const {
    std::array<std::array<std::uint64_t, columns>, call_count> histogram{};
    std::array<std::uint64_t, call_count> longest{}, over{};
    std::vector<std::array<std::uint64_t, call_count>> by_phase(phases_.size());
    std::size_t phase = 0;
    for (std::size_t n = 0; n < lowest_.size(); ++n) {
      while (phase + 1 < phases_.size() && phases_[phase + 1].begin <= n) ++phase;
      const auto k = static_cast<std::size_t>(kind_of(n));
      const std::uint64_t ns = ns_of(n);
      ++histogram[k][std::min<std::size_t>(std::bit_width(ns / 1000), columns - 1)];
      longest[k] = std::max(longest[k], ns);
      by_phase[phase][k] = std::max(by_phase[phase][k], ns);
      if (ns > limit_ns) ++over[k];
    }
    std::printf("\ncalls by CPU time, in us under\n%-12s", "");
    for (std::size_t c = 0; c + 1 < columns; ++c) std::printf(" %9u", 1U << c);
    std::printf(" %9s %9s %9s\n", "more", "max us", "over 1 ms");
    for (std::size_t k = 0; k < call_count; ++k) {
      std::printf("%-12s", call_names[k]);
      for (const std::uint64_t n : histogram[k]) std::printf(" %9" PRIu64, n);
      std::printf(" %9.0f %9" PRIu64 "\n", us(longest[k]), over[k]);
    }
    std::printf("\nlongest by phase, us\n%-12s", "");
    for (const auto& p : phases_) std::printf(" %9s", p.name.c_str());
    for (std::size_t k = 0; k < call_count; ++k) {
      std::printf("\n%-12s", call_names[k]);
      for (const auto& ns : by_phase) std::printf(" %9.0f", us(ns[k]));
    }
    std::printf("\n");
  }
  static double us(std::uint64_t ns) { return static_cast<double>(ns) / 1000; }

 private:
  static constexpr unsigned kind_shift = 28;
  static constexpr std::uint32_t ns_mask = (1U << kind_shift) - 1;
  static constexpr std::uint64_t again_ns = 16'000;
  static constexpr std::size_t columns = 12;  // under 1, 2, 4 ... 1024 us, and more
  struct phase_begin {
    std::string name;
    std::size_t begin;  // its first call
  };

  call kind_of(std::size_t n) const { return static_cast<call>(lowest_[n] >> kind_shift); }
  std::uint64_t ns_of(std::size_t n) const { return lowest_[n] & ns_mask; }

  std::vector<std::uint32_t> lowest_;  // of each call its kind and its shortest time
  std::vector<phase_begin> phases_;
  std::size_t next_ = 0;
  unsigned pass_ = 0;
};

}  // namespace tandem::bench
