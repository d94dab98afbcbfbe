#include "common/backend/clock.h"

#include <algorithm>

#include "common/protocol/exptime.h"
#include "common/protocol/numbers.h"

namespace tandem::backend {

namespace {

using std::chrono::microseconds;
using std::chrono::seconds;

constexpr std::string_view row_begin = "STAT ", rows_end = "END\r\n", crlf = "\r\n";
// A reading this far from where a tick is expected shows if it is not there.
constexpr microseconds check_margin{20'000};
// Of a second.
constexpr int parts = 256;

// One that is past every clock, but is one.
std::uint32_t exptime_of(seconds at) noexcept {
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(at.count(), protocol::already_expired, UINT32_MAX));
}

}  // namespace

std::optional<process_reading> read_stats(std::string_view text) {
  if (!text.starts_with(row_begin) || !text.ends_with(rows_end)) return std::nullopt;
  process_reading found;
  std::optional<std::uint64_t> second, uptime, pid, items;
  while (text.starts_with(row_begin)) {
    text.remove_prefix(row_begin.size());
    const std::string_view row = text.substr(0, text.find(crlf));
    text.remove_prefix(std::min(row.size() + crlf.size(), text.size()));
    const std::size_t space = row.find(' ');
    if (space == std::string_view::npos) continue;
    const std::string_view name = row.substr(0, space);
    std::optional<std::uint64_t>* const to = name == "time"         ? &second
                                             : name == "uptime"     ? &uptime
                                             : name == "pid"        ? &pid
                                             : name == "curr_items" ? &items
                                                                    : nullptr;
    if (to != nullptr) *to = protocol::parse_strict<std::uint64_t>(row.substr(space + 1));
  }
  if (!second || *second > UINT32_MAX || !uptime) return std::nullopt;
  found.second = static_cast<std::int64_t>(*second);
  found.started = found.second - static_cast<std::int64_t>(*uptime);
  found.pid = pid.value_or(0);
  found.items = items.value_or(1);
  return found;
}

void clock_meter::heard(std::int64_t second, wall_time asked, wall_time answered) noexcept {
  const microseconds low = asked.time_since_epoch() - seconds(second + 1);
  const microseconds high = answered.time_since_epoch() - seconds(second);
  const bool agrees = known_ && low <= high_ && high >= low_;
  low_ = agrees ? std::max(low, low_) : low;
  high_ = agrees ? std::min(high, high_) : high;
  known_ = true;
}

microseconds clock_meter::until_check(wall_time now, microseconds pause,
                                      suspicion of) const noexcept {
  const microseconds tick = of == suspicion::late ? high_ + check_margin : low_ - check_margin;
  const microseconds earliest = now.time_since_epoch() + pause - tick;
  return std::chrono::ceil<seconds>(earliest) + tick - now.time_since_epoch();
}

std::uint32_t clock::second(wall_time now) const noexcept {
  return unix_seconds(now - behind());
}

std::uint32_t clock::exptime(std::int32_t sent, wall_time now) const noexcept {
  return ours(protocol::absolute_exptime(sent, second(now))).second;
}

clock::moment clock::ours(std::uint32_t theirs) const noexcept {
  if (theirs <= protocol::already_expired) return {theirs};
  const microseconds at = seconds(theirs) + behind();
  const seconds whole = std::chrono::round<seconds>(at);
  const std::int64_t part = (at - whole).count() * parts / microseconds(seconds(1)).count();
  return {exptime_of(whole), static_cast<std::int8_t>(std::clamp<std::int64_t>(part, -128, 127))};
}

std::uint32_t clock::theirs(std::uint32_t ours, std::int8_t part) const noexcept {
  if (ours <= protocol::already_expired) return ours;
  const microseconds later = microseconds(seconds(1)) * part / parts;
  return exptime_of(std::chrono::round<seconds>(seconds(ours) + later - behind()));
}

}  // namespace tandem::backend
