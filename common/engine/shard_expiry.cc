// The shard's third part: what has had its time, found segment by segment, and the housekeeping.
#include <algorithm>
#include <array>
#include <bit>

#include "common/base/hash.h"
#include "common/engine/shard.h"

namespace tandem::engine {

namespace {

// A segment is worth a sweep when this part of it has expired.
constexpr unsigned due_share = 16;

// The step of a histogram of times that `seconds` fall into: each 1/16 of its power of two.
constexpr std::size_t time_step(std::uint32_t seconds) {
  if (seconds < 16) return seconds;
  const auto power = static_cast<unsigned>(std::bit_width(seconds)) - 5;
  return std::size_t{16} * power + (seconds >> power);
}
constexpr std::size_t time_steps = time_step(UINT32_MAX) + 1;

}  // namespace

// --- expiry --------------------------------------------------------------------------------

// Looks at up to `budget` records of a segment that is due, and removes the dead among them.
// Returns how many bytes of it that were, at least 1; 0: no segment is due.
std::size_t shard::reclaim_due(unsigned budget, instant now) {
  const std::uint32_t seconds = unix_seconds(now.wall);
  if (expiring_.segment == no_segment) {
    if (next_due_ > seconds) return 0;
    std::uint32_t earliest = never;
    for (std::uint32_t n = 0; n < log_.segment_count(); ++n) {
      due_from_ = due_from_ + 1 < log_.segment_count() ? due_from_ + 1 : 0;
      const segment& s = log_[due_from_];
      if (s.log >= tombstone_log) continue;
      earliest = std::min(earliest, s.due);
      if (s.due <= seconds) break;
    }
    if (earliest > seconds) {
      next_due_ = earliest;
      return 0;
    }
    expiring_ = {due_from_, 0};
  }
  const std::uint32_t number = expiring_.segment;
  std::size_t seen = 1;
  for (unsigned n = 0; n < budget && expiring_.segment != no_segment; ++n) {
    record* const r = next_slot(expiring_);
    if (r == nullptr) {
      expiring_ = {};
      plan_expiry(number, seconds);
      break;
    }
    seen += r->bytes();
    if (!r->dead && is_dead(*r, now)) reclaim(hash_key(r->key()), r, now);
  }
  return seen;
}

// Finds out when the next good part of a segment will have expired: in one pass, by a histogram of
// the times that are left, in steps of a sixteenth of each.
void shard::plan_expiry(std::uint32_t number, std::uint32_t now) noexcept {
  segment& s = log_[number];
  s.due = never;
  s.early_bytes = s.early_until = 0;
  if (s.log >= tombstone_log) return;
  struct step {
    std::uint64_t bytes = 0;
    std::uint32_t last = 0;
  };
  std::array<step, time_steps> histogram{};
  std::uint64_t expiring = 0;
  for (sweep at{number, 0}; const record* r = next_record(at);) {
    if (r->exptime == 0) continue;
    const std::uint64_t bytes = r->bytes() + r->large_bytes();
    step& into = histogram[time_step(r->exptime - std::min(now, r->exptime))];
    into.bytes += bytes;
    into.last = std::max(into.last, r->exptime);
    expiring += bytes;
  }
  if (expiring == 0 || expiring * due_share < s.live + s.live_large) return;
  std::uint64_t gone = 0;
  for (const step& each : histogram) {
    gone += each.bytes;
    if (gone * due_share < s.live + s.live_large) continue;
    s.due = std::max(each.last, now + 1);
    break;
  }
  next_due_ = std::min(next_due_, s.due);
}

// A record came, or changed its expiry.
void shard::note_expiry(const record& r, std::uint32_t now) noexcept {
  segment& s = log_[log_.segment_of(&r)];
  if (r.exptime == 0 || r.exptime >= s.due || r.tombstone) return;
  if (s.open) {  // its whole plan is made when it is closed
    s.due = std::max(r.exptime, now + 1);
    next_due_ = std::min(next_due_, s.due);
    return;
  }
  s.early_bytes += static_cast<std::uint32_t>(r.bytes());
  s.early_until = std::max(s.early_until, r.exptime);
  if (s.early_bytes < log_.segment_bytes() / due_share) return;
  s.due = std::max(s.early_until, now + 1);
  s.early_bytes = s.early_until = 0;
  next_due_ = std::min(next_due_, s.due);
}

// --- housekeeping --------------------------------------------------------------------------

bool shard::housekeep(unsigned budget, instant now, version confirmed_tombstones) {
  latest_ = now;
  drop_confirmed(budget, confirmed_tombstones);
  cap_tombstones();
  const bool more = reclaim_due(budget, now) != 0;
  for (unsigned n = 0; n < budget / 64 + 1 && index_.sparse(); ++n) index_.merge_next();
  return more;
}

}  // namespace tandem::engine
