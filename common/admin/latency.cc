#include "common/admin/latency.h"

#include <algorithm>

namespace tandem::admin {

std::string_view to_string(turn_kind kind) noexcept {
  constexpr std::array<std::string_view, turn_kinds> names = {
      "get", "set", "delete", "arithmetic", "touch", "mixed", "other"};
  return names[static_cast<std::size_t>(kind)];
}

latency_recorder::counts latency_recorder::count(const service::worker_statistics& from) noexcept {
  return {
      from.cmd_get.get(), from.cmd_set.get(), from.delete_hits.get() + from.delete_misses.get(),
      from.incr_hits.get() + from.incr_misses.get() + from.decr_hits.get() + from.decr_misses.get(),
      from.cmd_touch.get()};
}

turn_kind latency_recorder::kind_of_turn(const counts& before, const counts& after) noexcept {
  turn_kind found = turn_kind::other;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == after[i]) continue;
    if (found != turn_kind::other) return turn_kind::mixed;
    found = static_cast<turn_kind>(i);
  }
  return found;
}

void latency_recorder::record(turn_kind kind, std::chrono::nanoseconds took) noexcept {
  const auto nanoseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(took.count(), 0));
  const auto bound = std::lower_bound(
      latency_bounds_us.begin(), latency_bounds_us.end(), nanoseconds,
      [](std::uint32_t us, std::uint64_t ns) { return std::uint64_t{us} * 1000 < ns; });
  histogram& to = by_kind_[static_cast<std::size_t>(kind)];
  to.buckets[static_cast<std::size_t>(bound - latency_bounds_us.begin())].add();
  to.nanoseconds.add(nanoseconds);
}

void latency_recorder::add_to(latency_totals& to) const noexcept {
  for (std::size_t kind = 0; kind < turn_kinds; ++kind) {
    for (std::size_t i = 0; i < to.by_kind[kind].buckets.size(); ++i)
      to.by_kind[kind].buckets[i] += by_kind_[kind].buckets[i].get();
    to.by_kind[kind].nanoseconds += by_kind_[kind].nanoseconds.get();
  }
}

}  // namespace tandem::admin
