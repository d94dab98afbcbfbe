#include "common/replication/sender.h"

#include <algorithm>

#include "common/base/endian.h"
#include "common/replication/record_codec.h"

namespace tandem::replication {

namespace {
constexpr unsigned scan_budget = 32;  // index positions per look under a shard's lock
constexpr unsigned scan_looks = 64;   // per frame, so that a sparse index does not take a step over
constexpr unsigned rounds_per_pump = 32;
constexpr std::size_t chunk_bytes = 64 << 10;
}  // namespace

sender::sender(const sender_limits& limits, data_port& data)
    : limits_(limits),
      data_(data),
      acked_(data.shard_count()),
      sent_(data.shard_count()),
      waits_for_large_(data.shard_count()),
      goal_(data.shard_count()) {}

// --- a session's life ----------------------------------------------------------------------------

bool sender::resumable() const {
  if (!filled_) return false;
  for (std::size_t s = 0; s < acked_.size(); ++s)
    if (data_.journal_begin(s) > acked_[s]) return false;
  return true;
}

void sender::begin(bool resume) {
  end();
  if (!resume) {
    filled_ = false;
    for (std::size_t s = 0; s < acked_.size(); ++s) {
      acked_[s] = data_.start_journal(s);
      scan_queue_.push_back(s);
    }
  }
  sent_ = acked_;
  flush_sent_ = {};
  any_sent_ = false;
}

void sender::end() {
  in_flight_.clear();
  in_flight_bytes_ = 0;
  scan_queue_.clear();
  scan_cursor_ = {};
  larges_.clear();
  waits_for_large_.assign(waits_for_large_.size(), false);
  sent_ = acked_;
  larges_sent_ = larges_queued_;
  say_in_sync_again();
}

void sender::scan_again() {
  // A scan under way continues; the shards behind it come again.
  for (std::size_t s = 0; s < acked_.size(); ++s)
    if (std::find(scan_queue_.begin(), scan_queue_.end(), s) == scan_queue_.end())
      scan_queue_.push_back(s);
  filled_ = false;  // a session that ends before it is done must not be resumed from
  say_in_sync_again();
}

void sender::say_in_sync_again() {
  in_sync_ = milestone::pending;
  goal_set_ = false;
}

// --- producing -----------------------------------------------------------------------------------

sender::pumped sender::pump(std::string& out, std::uint64_t& sequence, std::size_t budget,
                            instant now) {
  const std::size_t begin = out.size();
  for (unsigned round = 0; round < rounds_per_pump; ++round) {
    if (in_flight_bytes_ >= limits_.window_bytes) return pumped::window;
    if (out.size() - begin >= budget) return pumped::more;
    // Not short-circuited between large and live data: they take turns.
    bool any = send_flush(out, sequence);
    any |= send_large(out, sequence);
    any |= send_journal(out, sequence, now);
    if (!any) any = send_scan(out, sequence, now);
    any |= send_milestones(out, sequence);
    if (!any) return pumped::dry;
  }
  return pumped::more;
}

void sender::close_frame(std::string& out, std::uint64_t& sequence, frame_type type,
                         std::string_view payload, std::size_t shard, journal::position position) {
  append_frame(out, type, sequence, payload);
  const std::size_t bytes = frame_header_bytes + payload.size();
  in_flight_.push_back({sequence, bytes, shard, position});
  in_flight_bytes_ += bytes;
  last_sequence_ = sequence++;
  any_sent_ = true;
}

bool sender::send_flush(std::string& out, std::uint64_t& sequence) {
  const flush_state current = data_.flush();
  if (current == flush_sent_) return false;
  flush_sent_ = current;
  close_frame(out, sequence, frame_type::flush, encode(current), flush_register,
              number_of(current));
  return true;
}

bool sender::take(const record& r, std::size_t shard, journal::position after) {
  ++records_sent_;
  if (r.value_size() < streamed_value_min) {
    append_record(payload_, r);
    return payload_.size() < limits_.frame_bytes;
  }
  larges_.push_back({std::string(r.key), r.meta, r.large, std::string(r.value), shard, after});
  ++larges_queued_;
  return false;
}

bool sender::send_journal(std::string& out, std::uint64_t& sequence, instant now) {
  for (std::size_t i = 0; i < sent_.size(); ++i) {
    const std::size_t s = (next_shard_ + i) % sent_.size();
    if (waits_for_large_[s]) continue;
    if (data_.journal_begin(s) > sent_[s]) note_overrun(s);
    if (data_.journal_end(s) == sent_[s]) continue;
    payload_.clear();
    const std::size_t larges = larges_.size();
    const journal::position after =
        data_.read_journal(s, sent_[s], now, [&](const record& r) { return take(r, s, 0); });
    sent_[s] = after;
    next_shard_ = (s + 1) % sent_.size();
    if (larges_.size() > larges) {
      // The position counts as sent with the value's last chunk; until then this journal waits.
      larges_.back().position = after;
      waits_for_large_[s] = true;
      if (!payload_.empty())
        close_frame(out, sequence, frame_type::records, payload_, s, after - 1);
    } else if (payload_.empty()) {
      // Only entries that a later one speaks for: nothing to send, the position moves with the next
      // frame, or at once if nothing is under way.
      if (in_flight_.empty()) {
        acked_[s] = after;
        data_.confirm(s, after, filled_);
      } else {
        in_flight_.push_back({last_sequence_, 0, s, after});
      }
    } else {
      close_frame(out, sequence, frame_type::records, payload_, s, after);
    }
    return true;
  }
  return false;
}

void sender::note_overrun(std::size_t shard) {
  ++overruns_;
  filled_ = false;
  sent_[shard] = acked_[shard] = data_.start_journal(shard);
  if (std::find(scan_queue_.begin(), scan_queue_.end(), shard) == scan_queue_.end())
    scan_queue_.push_back(shard);
  else if (scan_queue_.front() == shard)
    scan_cursor_ = {};
  ask_for_scan_ = true;
  say_in_sync_again();
}

bool sender::send_large(std::string& out, std::uint64_t& sequence) {
  if (larges_.empty()) return false;
  large_record& l = larges_.front();
  record r;
  r.key = l.key;
  r.meta = l.meta;
  r.large = l.value;
  r.value = l.tail;
  if (!l.begun) {
    std::string payload;
    append_record(payload, r);
    close_frame(out, sequence, frame_type::large, payload, no_shard, 0);
    l.begun = true;
    return true;
  }
  // What has been replaced meanwhile must not arrive after what replaced it: that may have been
  // sent, and even forgotten there, while the value was under way. An empty chunk abandons it.
  const auto standing = data_.check(l.key, l.meta.changed());
  std::string_view piece;
  if (standing == data_port::standing::current) piece = r.piece_at(l.offset).substr(0, chunk_bytes);
  l.offset += piece.size();
  const bool last = piece.empty() || l.offset == r.value_size();
  if (standing == data_port::standing::absent) {
    record gone;
    gone.kind = record_kind::gone;
    gone.key = l.key;
    gone.meta.stored = l.meta.stored;
    gone.meta.touched = l.meta.touched;
    std::string payload;
    append_record(payload, gone);
    close_frame(out, sequence, frame_type::records, payload, no_shard, 0);
  }
  // Nothing stands for the abandoned state yet: its entry is looked at once more.
  const bool again =
      limits_.exact && l.shard != no_shard && standing == data_port::standing::replaced;
  if (again) sent_[l.shard] = l.position - 1;
  close_frame(out, sequence, frame_type::chunk, piece, last && !again ? l.shard : no_shard,
              l.position);
  if (last) {
    if (l.shard != no_shard) waits_for_large_[l.shard] = false;
    larges_.pop_front();
    ++larges_sent_;
  }
  return true;
}

bool sender::send_scan(std::string& out, std::uint64_t& sequence, instant now) {
  if (scan_queue_.empty()) return false;
  payload_.clear();
  bool closed = false;
  for (unsigned look = 0; look < scan_looks && !scan_cursor_.done && larges_.empty() && !closed;
       ++look)
    data_.scan(scan_queue_.front(), scan_cursor_, scan_budget, now, [&](const record& r) {
      if (!take(r, no_shard, 0) && payload_.size() >= limits_.frame_bytes) {
        // A look is not cut short: what it still brings goes into frames of its own.
        close_frame(out, sequence, frame_type::records, payload_, no_shard, 0);
        payload_.clear();
        closed = true;
      }
      return true;
    });
  if (!payload_.empty()) close_frame(out, sequence, frame_type::records, payload_, no_shard, 0);
  if (scan_cursor_.done) {
    scan_queue_.pop_front();
    scan_cursor_ = {};
  }
  return true;
}

// Live changes may never pause, so "everything" means: all that was journaled when the scan ended.
bool sender::goal_reached() {
  if (scanning()) return false;
  if (!goal_set_) {
    for (std::size_t s = 0; s < goal_.size(); ++s) goal_[s] = data_.journal_end(s);
    goal_set_ = true;
    goal_larges_ = 0;
  }
  for (std::size_t s = 0; s < goal_.size(); ++s)
    if (sent_[s] < goal_[s]) return false;
  if (goal_larges_ == 0) goal_larges_ = larges_queued_;
  return larges_sent_ >= goal_larges_;
}

bool sender::send_milestones(std::string& out, std::uint64_t& sequence) {
  if (in_sync_ != milestone::pending || !goal_reached()) return false;
  if (ask_for_scan_) {
    ask_for_scan_ = false;
    close_frame(out, sequence, frame_type::scan_please, {}, no_shard, 0);
  }
  in_sync_ = milestone::sent;
  char highest[sizeof(std::uint64_t)];
  store_le(highest, data_.highest().word());
  close_frame(out, sequence, frame_type::in_sync, {highest, sizeof highest}, no_shard, 0);
  in_sync_sequence_ = last_sequence_;
  return true;
}

// --- acknowledgement -----------------------------------------------------------------------------

bool sender::acknowledged(std::uint64_t sequence) {
  if (!any_sent_ || sequence > last_sequence_) return false;
  while (!in_flight_.empty() && in_flight_.front().sequence <= sequence) {
    const sent_frame& f = in_flight_.front();
    in_flight_bytes_ -= f.bytes;
    confirm(f);
    in_flight_.pop_front();
  }
  if (in_sync_ == milestone::sent && sequence >= in_sync_sequence_) {
    in_sync_ = milestone::acknowledged;
    filled_ = true;
    confirm_all();
  }
  return true;
}

void sender::confirm(const sent_frame& f) {
  if (f.shard == flush_register) {
    data_.confirm_flush(f.position);
  } else if (f.shard != no_shard && f.position > acked_[f.shard]) {
    acked_[f.shard] = f.position;
    data_.confirm(f.shard, f.position, filled_);
  }
}

bool sender::confirmed(const std::vector<journal::position>& upto) const {
  return peer_in_sync() && std::equal(upto.begin(), upto.end(), acked_.begin(), acked_.end(),
                                      [](auto wanted, auto there) { return there >= wanted; });
}

void sender::confirm_all() {
  if (!filled_ || !peer_in_sync()) return;
  for (std::size_t s = 0; s < acked_.size(); ++s) data_.confirm(s, acked_[s], true);
}

sender::lag sender::measure() const {
  lag result;
  result.bytes = in_flight_bytes_;
  for (std::size_t s = 0; s < acked_.size(); ++s) {
    const journal::position end = data_.journal_end(s);
    if (end <= acked_[s]) continue;
    result.records += end - acked_[s];
    const version oldest = data_.journal_version(s, acked_[s]);
    if (oldest && (!result.oldest || oldest < result.oldest)) result.oldest = oldest;
  }
  return result;
}

}  // namespace tandem::replication
