#include "tests/sim/world.h"

#include <algorithm>
#include <cstdio>

#include "common/base/hash.h"

namespace tandem::sim {

void world::at(micros when, std::function<void()> what) {
  heap_.push({std::max(when, now_), next_sequence_++, std::move(what)});
}

void world::run_until(micros until) {
  while (!heap_.empty() && heap_.top().when <= until) {
    // The event may push others: it is moved out before it runs.
    entry next = std::move(const_cast<entry&>(heap_.top()));
    heap_.pop();
    now_ = next.when;
    ++events_;
    next.what();
  }
  now_ = std::max(now_, until);
}

void world::say(std::string_view text) {
  constexpr std::uint64_t odd = 0x9e3779b97f4a7c15ULL;  // no sum of texts and times equals another
  hash_ = ((hash_ ^ hash_key(text)) * odd + static_cast<std::uint64_t>(now_)) * odd;
  if (trace_)
    std::printf("%12.6f %.*s\n", static_cast<double>(now_) / second, static_cast<int>(text.size()),
                text.data());
}

}  // namespace tandem::sim
