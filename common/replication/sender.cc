// What the peer has, and what its acknowledgements change; sender_data.cc has what is sent.
#include "common/replication/sender.h"

#include <algorithm>

namespace tandem::replication {

namespace {
constexpr unsigned rounds_per_pump = 32;
}  // namespace

sender::sender(const sender_limits& limits, data_port& data)
    : limits_(limits),
      data_(data),
      shards_(data.shard_count()),
      window_(limits.window_bytes, limits.window_delay) {}

// --- a session's life ----------------------------------------------------------------------------

bool sender::reaches_back(std::size_t shard) const {
  const shard_state& s = shards_[shard];
  return s.followed && data_.journal_begin(shard) <= s.acked;
}

bool sender::resumable() const {
  if (news_lost_) return false;
  for (std::size_t s = 0; s < shards_.size(); ++s)
    if (!shards_[s].filled || !reaches_back(s)) return false;
  return true;
}

void sender::begin(bool known, compression method, instant now) {
  end();
  if (!known) {
    shards_.assign(shards_.size(), {});
    news_lost_ = false;  // it tells of everything it has, in its own scan
  }
  shards_scanned_ = 0;
  scans_all_ = false;
  asked_ = told_wanted_ = 0;
  for (std::size_t s = 0; s < shards_.size(); ++s) {
    if (!reaches_back(s)) {
      if (known && data_.news_after(s, shards_[s].acked)) news_lost_ = true;
      start_over(s);
    }
    if (!shards_[s].filled) queue_scan(s, now);
    shards_[s].sent = shards_[s].acked;
  }
  if (!scan_queue_.empty()) scan_cursor_ = shards_[scan_queue_.front()].scanned;
  ask_due_ = news_lost_;
  flush_sent_ = {};
  any_sent_ = false;
  window_.begin();
  compressor_.use(method);
}

// The journal is followed from its end; the scan is to find what it does not tell.
void sender::start_over(std::size_t shard) {
  shard_state& s = shards_[shard];
  s.newer_than = s.filled_once ? data_.confirmed(shard) : version();
  s.filled = false;
  ++s.scan;
  s.scanned = {};
  s.followed = true;
  s.acked = s.sent = data_.start_journal(shard);
}

void sender::queue_scan(std::size_t shard, instant now) {
  if (scan_queue_.empty() && !progress_.running()) progress_.begin(now);
  scan_queue_.push_back(shard);
  ++shards_scanned_;
  if (!shards_[shard].newer_than) scans_all_ = true;
}

void sender::end() {
  in_flight_.clear();
  in_flight_bytes_ = 0;
  scan_queue_.clear();
  tell_queue_.clear();
  tell_cursor_ = {};
  larges_.clear();
  for (shard_state& s : shards_) {
    s.waits_for_large = false;
    s.sent = s.acked;
  }
  larges_sent_ = larges_queued_;
  progress_ = {};
  say_in_sync_again();
}

void sender::drop_useless_journals() {
  for (std::size_t s = 0; s < shards_.size(); ++s) {
    if (!shards_[s].followed || reaches_back(s)) continue;
    if (data_.news_after(s, shards_[s].acked)) news_lost_ = true;
    shards_[s].followed = false;
    // What is dropped from here on is noticed by its position.
    shards_[s].acked = data_.journal_end(s);
    data_.stop_journal(s);
  }
}

void sender::tell_inventory() {
  // A shard under way goes on, and comes again: of what it has passed by nothing is known any more.
  const auto waiting = tell_queue_.begin() + (tell_cursor_ == engine::cursor{} ? 0 : 1);
  std::vector<std::size_t> more;
  for (std::size_t s = 0; s < shards_.size(); ++s)
    if (std::find(waiting, tell_queue_.end(), s) == tell_queue_.end()) more.push_back(s);
  tell_queue_.insert(tell_queue_.end(), more.begin(), more.end());
  ++told_wanted_;
  say_in_sync_again();
}

void sender::heard_inventory(std::uint32_t times) {
  if (asked_ > 0 && times >= asked_ && !ask_due_) news_lost_ = false;
}

void sender::say_in_sync_again() {
  in_sync_ = milestone::pending;
  goal_set_ = false;
}

// --- producing -----------------------------------------------------------------------------------

sender::pumped sender::pump(std::string& out, std::uint64_t& sequence, std::size_t budget,
                            instant now) {
  const std::size_t begin = out.size();
  sink to{out, sequence, now};
  for (unsigned round = 0; round < rounds_per_pump; ++round) {
    if (in_flight_bytes_ >= window_.size()) return pumped::window;
    if (out.size() - begin >= budget) return pumped::more;
    // Not short-circuited between large and live data: they take turns.
    bool any = send_flush(to);
    any |= send_large(to);
    any |= send_journal(to);
    if (!any && !held(now)) any = send_scan(to) || send_inventory(to);
    any |= send_milestones(to);
    if (!any) return pumped::dry;
  }
  return pumped::more;
}

std::optional<steady_time> sender::held_until() const noexcept {
  if (!scanning() || limits_.sync_rate == 0) return std::nullopt;
  return scan_at_;
}

// Live changes may never pause, so "everything" means: all that was journaled when the scan ended.
bool sender::goal_reached() {
  if (scanning() || news_lost_) return false;
  if (!goal_set_) {
    for (std::size_t s = 0; s < shards_.size(); ++s) shards_[s].goal = data_.journal_end(s);
    goal_set_ = true;
    goal_larges_ = 0;
  }
  for (const shard_state& s : shards_)
    if (s.sent < s.goal) return false;
  if (goal_larges_ == 0) goal_larges_ = larges_queued_;
  return larges_sent_ >= goal_larges_;
}

// --- acknowledgement -----------------------------------------------------------------------------

bool sender::acknowledged(std::uint64_t sequence, instant now) {
  if (!any_sent_ || sequence > last_sequence_) return false;
  const std::size_t ahead = in_flight_bytes_;
  std::size_t bytes = 0;
  steady_time sent_at = now.steady;
  while (!in_flight_.empty() && in_flight_.front().sequence <= sequence) {
    const sent_frame f = in_flight_.front();
    in_flight_.pop_front();
    in_flight_bytes_ -= f.bytes;
    bytes += f.bytes;
    sent_at = f.at;
    if (f.shard == no_shard) continue;
    if (f.shard == flush_register) {
      data_.confirm_flush(f.position);
      continue;
    }
    shard_state& s = shards_[f.shard];
    if (f.scan != 0) {
      note_scanned(f.shard, f.scan, f.scanned);
    } else if (f.position > s.acked) {
      s.acked = f.position;
      data_.confirm(f.shard, f.position, s.filled);
    }
  }
  if (bytes > 0) window_.acknowledged(bytes, now.steady - sent_at, ahead, now.steady);
  if (in_sync_ == milestone::sent && sequence >= in_sync_sequence_) {
    in_sync_ = milestone::acknowledged;
    confirm_all();
  }
  return true;
}

void sender::note_scanned(std::size_t shard, unsigned scan, const engine::cursor& reached) {
  shard_state& s = shards_[shard];
  if (scan != s.scan) return;  // it has started over since
  s.scanned = reached;
  if (!reached.done) return;
  s.filled = s.filled_once = true;
  data_.confirm(shard, s.acked, true);
}

bool sender::has_sent(const mutation_mark& m) const {
  if (m.slot >= shards_.size()) return number_of(flush_sent_) >= m.position;
  const shard_state& s = shards_[m.slot];
  // A large value is on its way: the position is beyond it already.
  return s.sent >= m.position + (s.waits_for_large ? 1 : 0);
}

void sender::confirm_all() {
  for (std::size_t s = 0; s < shards_.size(); ++s)
    if (shards_[s].filled) data_.confirm(s, shards_[s].acked, true);
}

sender::lag sender::measure() const {
  lag result;
  result.bytes = in_flight_bytes_;
  for (std::size_t s = 0; s < shards_.size(); ++s) {
    const journal::position end = data_.journal_end(s);
    if (end <= shards_[s].acked) continue;
    result.records += end - shards_[s].acked;
    const version oldest = data_.journal_version(s, shards_[s].acked);
    if (oldest && (!result.oldest || oldest < result.oldest)) result.oldest = oldest;
  }
  return result;
}

std::vector<journal::position> sender::journal_ends() const {
  std::vector<journal::position> ends;
  for (std::size_t s = 0; s < shards_.size(); ++s) ends.push_back(data_.journal_end(s));
  return ends;
}

bool sender::acknowledged_up_to(const std::vector<journal::position>& positions) const {
  for (std::size_t s = 0; s < shards_.size(); ++s)
    if (!shards_[s].filled || shards_[s].acked < positions[s]) return false;
  return true;
}

void sender::look_at_progress(instant now) {
  if (!progress_.running()) return;
  if (scan_queue_.empty()) return progress_.end(now);
  constexpr double whole = 18446744073709551616.0;  // positions of a shard
  const double walked = scan_cursor_.done ? 1 : static_cast<double>(scan_cursor_.position) / whole;
  const double left = static_cast<double>(scan_queue_.size()) - walked;
  progress_.reached(1 - left / static_cast<double>(shards_scanned_), now);
}

}  // namespace tandem::replication
