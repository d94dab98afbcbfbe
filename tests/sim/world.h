// The simulator's ground: one thread, one heap of (time, sequence) events, one random seed. The
// same seed gives the same run, event by event (the trace hash shows it).
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/prng.h"

namespace tandem::sim {

using micros = std::int64_t;  // simulated time since the start of the run
constexpr micros milli = 1000;
constexpr micros second = 1'000'000;

// An invariant or an oracle that does not hold; what() says which and how.
struct violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class world {
 public:
  world(std::uint64_t s, bool trace) : random(s), seed(s), trace_(trace) {}

  micros now() const noexcept { return now_; }
  void at(micros when, std::function<void()> what);
  void after(micros delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }
  // Runs events until `until` or none are left.
  void run_until(micros until);

  // Goes into the trace hash, and to standard output with --trace.
  void say(std::string_view text);
  // For what is worth a line of its own in a trace but not the time to write it in other runs.
  bool tracing() const noexcept { return trace_; }
  std::uint64_t trace_hash() const noexcept { return hash_; }
  std::uint64_t events() const noexcept { return events_; }

  prng random;
  const std::uint64_t seed;
  micros between(micros low, micros high) {
    return low + static_cast<micros>(random.below(static_cast<std::uint64_t>(high - low + 1)));
  }

 private:
  struct entry {
    micros when;
    std::uint64_t sequence;
    std::function<void()> what;
    bool operator>(const entry& other) const noexcept {
      return when != other.when ? when > other.when : sequence > other.sequence;
    }
  };
  std::priority_queue<entry, std::vector<entry>, std::greater<>> heap_;
  micros now_ = 0;
  std::uint64_t next_sequence_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t hash_ = 0;
  const bool trace_;
};

}  // namespace tandem::sim
