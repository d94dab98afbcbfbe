#include "common/engine/segment_log.h"

#include <algorithm>
#include <bit>
#include <new>

#include "common/base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(begin, bytes) (static_cast<void>(begin))
#define ASAN_UNPOISON_MEMORY_REGION(begin, bytes) (static_cast<void>(begin))
#endif

namespace tandem::engine {

namespace {

constexpr std::size_t log_bytes_min = std::size_t{256} << 20;
// What addresses of 32 bits reach.
constexpr std::size_t log_bytes_max = std::size_t{16} << 30;
// A segment is about 1/256 of the shard: large enough that records of 4 KB leave little of it
// unused at its end, small enough that a dozen half-filled ones are a small part of the shard.
constexpr std::size_t segments_per_shard = 256;
constexpr std::size_t segment_bytes_min = std::size_t{16} << 10;
constexpr std::size_t segment_bytes_max = std::size_t{1} << 20;
static_assert(segment_bytes_min > 3 * record_bytes_max);

unsigned segment_shift(std::size_t memory_bytes) {
  const std::size_t bytes = std::clamp(std::bit_floor(memory_bytes / segments_per_shard),
                                       segment_bytes_min, segment_bytes_max);
  return static_cast<unsigned>(std::countr_zero(bytes));
}

}  // namespace

segment_log::segment_log(std::size_t memory_bytes)
    : shift_(segment_shift(memory_bytes)),
      region_(std::clamp(limit_growth_max * memory_bytes, log_bytes_min, log_bytes_max),
              memory_bytes >= huge_pages_from),
      step_(std::max<std::size_t>(region_.step_bytes() >> shift_, 1)) {
  const std::size_t slots = (memory_bytes >> shift_) + log_count;
  segments_.reserve(slots);
  free_.reserve(slots);
  cold_.reserve(slots);
}

segment_log::~segment_log() {
  ASAN_UNPOISON_MEMORY_REGION(region_.base(), segments_.size() << shift_);
}

// --- appending -----------------------------------------------------------------------------------

bool segment_log::has_room(std::uint32_t number, std::size_t bytes) const noexcept {
  if (number == no_segment) return false;
  const segment& s = segments_[number];
  return s.open && s.used + bytes <= segment_bytes();
}

bool segment_log::fits(log_id log, std::size_t bytes) const noexcept {
  return has_room(logs_[log].newest, bytes);
}

bool segment_log::refill_fits(log_id log, std::size_t bytes) const noexcept {
  return has_room(logs_[log].refill, bytes);
}

std::uint32_t segment_log::take_slot() noexcept {
  for (std::vector<std::uint32_t>* slots : {&free_, &cold_}) {
    if (slots->empty()) continue;
    const std::uint32_t number = slots->back();
    slots->pop_back();
    return number;
  }
  const std::uint32_t first = segment_count();
  if (!region_.commit((std::size_t{first} + step_) << shift_)) return no_segment;
  try {
    segments_.resize(first + step_);
    // So that a segment can always be freed.
    free_.reserve(segments_.capacity());
    cold_.reserve(segments_.capacity());
  } catch (const std::bad_alloc&) {
    if (free_.capacity() < segments_.size() || cold_.capacity() < segments_.size())
      segments_.resize(first);
    return no_segment;
  }
  for (std::uint32_t number = segment_count() - 1; number > first; --number)
    free_.push_back(number);
  return first;
}

bool segment_log::open(log_id log, std::uint32_t stores, std::uint32_t now) noexcept {
  const std::uint32_t number = take_slot();
  if (number == no_segment) return false;
  ASAN_UNPOISON_MEMORY_REGION(record_at(number, 0), segment_bytes());
  log_state& l = logs_[log];
  segments_[number] =
      segment{.older = l.newest, .opened = stores, .opened_at = now, .log = log, .open = true};
  if (l.newest == no_segment) {
    l.oldest = number;
    l.scanned = 0;
  } else {
    segments_[l.newest].newer = number;
    close(l.newest);
  }
  l.newest = number;
  return true;
}

bool segment_log::open_refill(std::uint32_t victim) noexcept {
  const std::uint32_t number = take_slot();
  if (number == no_segment) return false;
  ASAN_UNPOISON_MEMORY_REGION(record_at(number, 0), segment_bytes());
  segment& from = segments_[victim];
  log_state& l = logs_[from.log];
  if (l.refill != no_segment) close(l.refill);
  l.refill = number;
  segments_[number] = segment{.newer = victim,
                              .older = from.older,
                              .opened = from.opened,
                              .opened_at = from.opened_at,
                              .log = from.log,
                              .open = true};
  (from.older == no_segment ? l.oldest : segments_[from.older].newer) = number;
  from.older = number;
  if (l.oldest == number) l.scanned = 0;
  return true;
}

record* segment_log::append_to(std::uint32_t number, std::size_t bytes) noexcept {
  segment& s = segments_[number];
  record* const r = record_at(number, s.used);
  s.used += static_cast<std::uint32_t>(bytes);
  used_bytes_ += bytes;
  open_bytes_ += bytes;
  return r;
}

void segment_log::close(std::uint32_t number) noexcept {
  segment& s = segments_[number];
  if (s.open) open_bytes_ -= s.used;
  s.open = false;
}

void segment_log::add(const record& r) noexcept {
  segment& s = segments_[segment_of(&r)];
  log_state& l = logs_[s.log];
  const std::size_t bytes = r.bytes(), large = r.large_bytes();
  s.live += static_cast<std::uint32_t>(bytes);
  s.live_large += large;
  live_bytes_ += bytes;
  large_bytes_ += large;
  l.bytes += bytes + large;
  ++l.items;
}

void segment_log::remove(const record& r) noexcept {
  segment& s = segments_[segment_of(&r)];
  log_state& l = logs_[s.log];
  const std::size_t bytes = r.bytes(), large = r.large_bytes();
  s.live -= static_cast<std::uint32_t>(bytes);
  s.live_large -= large;
  live_bytes_ -= bytes;
  large_bytes_ -= large;
  l.bytes -= bytes + large;
  --l.items;
}

std::size_t segment_log::room_of(const record& r) const noexcept {
  const std::uint32_t number = segment_of(&r);
  const char* const begin = reinterpret_cast<const char*>(&r);
  const char* const end =
      reinterpret_cast<const char*>(record_at(number, 0)) + segments_[number].used;
  const char* next = begin + r.bytes();
  while (next != end && reinterpret_cast<const record*>(next)->is_gap())
    next += reinterpret_cast<const record*>(next)->bytes();
  return static_cast<std::size_t>(next - begin);
}

bool segment_log::settle(std::uint32_t number) noexcept {
  segment& s = segments_[number];
  if (s.live != 0) return false;
  used_bytes_ -= s.used;
  close(number);
  unlink(number);
  s = {};
  free_.push_back(number);
  ASAN_POISON_MEMORY_REGION(record_at(number, 0), segment_bytes());
  return true;
}

void segment_log::unlink(std::uint32_t number) noexcept {
  const segment& s = segments_[number];
  log_state& l = logs_[s.log];
  if (l.oldest == number) l.scanned = 0;
  if (l.refill == number) l.refill = no_segment;
  (s.older == no_segment ? l.oldest : segments_[s.older].newer) = s.newer;
  (s.newer == no_segment ? l.newest : segments_[s.newer].older) = s.older;
}

// --- memory --------------------------------------------------------------------------------------

bool segment_log::release_one() noexcept {
  if (free_.empty()) return false;
  const std::uint32_t number = free_.back();
  free_.pop_back();
  region_.release(std::size_t{number} << shift_, segment_bytes());
  cold_.push_back(number);
  return true;
}

std::size_t segment_log::growth() const noexcept {
  if (!free_.empty()) return 0;
  return cold_.empty() ? step_ << shift_ : segment_bytes();
}

std::size_t segment_log::openable_bytes(std::size_t memory) const noexcept {
  const std::size_t again = std::min(free_.size() + cold_.size(), memory >> shift_) << shift_;
  const std::size_t fresh = memory - again;
  return again + fresh - fresh % (step_ << shift_);
}

std::size_t segment_log::bytes() const noexcept {
  return ((segments_.size() - cold_.size()) << shift_) + book_bytes();
}

std::size_t segment_log::book_bytes() const noexcept {
  return segments_.capacity() * sizeof(segment) + 2 * free_.capacity() * sizeof(std::uint32_t);
}

std::uint32_t segment_log::deadest() const noexcept {
  std::uint32_t best = no_segment, most = 0;
  for (std::uint32_t n = 0; n < segment_count(); ++n) {
    const segment& s = segments_[n];
    if (s.log == log_count || s.open || s.used - s.live <= most) continue;
    most = s.used - s.live;
    best = n;
  }
  return best;
}

bool segment_log::consistent() const {
  std::vector<log_state> counted(log_count);
  std::uint64_t used = 0, live = 0, open = 0;
  for (log_id log = 0; log < log_count; ++log) {
    std::uint32_t before = no_segment;
    for (std::uint32_t n = logs_[log].oldest; n != no_segment; n = segments_[n].newer) {
      const segment& s = segments_[n];
      if (s.log != log || s.older != before) return false;
      if (s.open && s.newer != no_segment && n != logs_[log].refill) return false;
      if (s.live == 0) return false;
      std::uint32_t segment_live = 0;
      std::uint64_t segment_large = 0;
      for (std::uint32_t at = 0; at < s.used;) {
        const record& r = *record_at(n, at);
        if (!r.dead) {
          segment_live += static_cast<std::uint32_t>(r.bytes());
          segment_large += r.large_bytes();
          ++counted[log].items;
          if (r.tombstone != (log == tombstone_log)) return false;
        }
        at += static_cast<std::uint32_t>(r.bytes());
        if (at > s.used) return false;
      }
      if (segment_live != s.live || segment_large != s.live_large) return false;
      counted[log].bytes += segment_live + segment_large;
      used += s.used;
      live += s.live;
      if (s.open) open += s.used;
      before = n;
    }
    if (logs_[log].newest != before || counted[log].bytes != logs_[log].bytes ||
        counted[log].items != logs_[log].items)
      return false;
  }
  return used == used_bytes_ && live == live_bytes_ && open == open_bytes_;
}

}  // namespace tandem::engine
