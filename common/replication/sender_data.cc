// What a sender puts on the link: live changes, a large value, the scan, what is held here, and the
// milestones between them.
#include <algorithm>

#include "common/base/endian.h"
#include "common/replication/record_codec.h"
#include "common/replication/sender.h"

namespace tandem::replication {

namespace {
constexpr unsigned scan_budget = 32;  // index positions per look under a shard's lock
constexpr unsigned scan_looks = 64;   // per frame, so that a sparse index does not take a step over
constexpr std::size_t chunk_bytes = 64 << 10;
}  // namespace

void sender::close_frame(sink& to, frame_type type, std::string_view payload, std::size_t shard,
                         journal::position position) {
  if (const std::string_view small = compressor_.shrink(type, payload); !small.empty()) {
    type = frame_type::compressed;
    payload = small;
  }
  append_frame(to.out, type, to.sequence, payload);
  const std::size_t bytes = frame_header_bytes + payload.size();
  sent_frame f{.sequence = to.sequence, .bytes = bytes, .at = to.now.steady, .shard = shard};
  f.position = position;
  in_flight_.push_back(f);
  in_flight_bytes_ += bytes;
  last_sequence_ = to.sequence++;
  any_sent_ = true;
}

bool sender::send_flush(sink& to) {
  const flush_state current = data_.flush();
  if (current == flush_sent_) return false;
  flush_sent_ = current;
  close_frame(to, frame_type::flush, encode(current), flush_register, number_of(current));
  return true;
}

bool sender::take(const record& r, std::size_t shard) {
  ++records_sent_;
  if (r.value_size() < streamed_value_min) {
    append_record(payload_, r);
    return payload_.size() < limits_.frame_bytes;
  }
  larges_.push_back(
      {std::string(r.key), r.meta, r.large, std::string(r.value), shard, r.exptime_part});
  ++larges_queued_;
  return false;
}

// --- live changes --------------------------------------------------------------------------------

bool sender::send_journal(sink& to) {
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    const std::size_t number = (next_shard_ + i) % shards_.size();
    shard_state& s = shards_[number];
    if (s.waits_for_large) continue;
    if (data_.journal_begin(number) > s.sent) {
      ++overruns_;
      if (data_.news_after(number, s.acked)) news_lost_ = ask_due_ = true;
      start_over(number);
      if (std::find(scan_queue_.begin(), scan_queue_.end(), number) == scan_queue_.end())
        queue_scan(number, to.now);
      if (scan_queue_.front() == number) scan_cursor_ = {};
      say_in_sync_again();
    }
    if (data_.journal_end(number) == s.sent) continue;
    payload_.clear();
    const std::size_t larges = larges_.size();
    const journal::position after = data_.read_journal(
        number, s.sent, to.now, [&](const record& r) { return take(r, number); });
    if (after == s.sent) continue;  // the values are on their way
    s.sent = after;
    next_shard_ = (number + 1) % shards_.size();
    if (larges_.size() > larges) {
      // The position counts as sent with the value's last chunk; until then this journal waits.
      larges_.back().position = after;
      s.waits_for_large = true;
      if (!payload_.empty()) close_frame(to, frame_type::records, payload_, number, after - 1);
    } else if (!payload_.empty()) {
      close_frame(to, frame_type::records, payload_, number, after);
    } else if (in_flight_.empty()) {
      // Only entries that a later one speaks for: nothing to send, the position moves with the next
      // frame, or at once if nothing is under way.
      s.acked = after;
      data_.confirm(number, after, s.filled);
    } else {
      sent_frame f{.sequence = last_sequence_, .bytes = 0, .at = to.now.steady, .shard = number};
      f.position = after;
      in_flight_.push_back(f);
    }
    return true;
  }
  return false;
}

// --- large values --------------------------------------------------------------------------------

bool sender::send_large(sink& to) {
  if (larges_.empty()) return false;
  large_record& l = larges_.front();
  record r;
  r.key = l.key;
  r.meta = l.meta;
  r.exptime_part = l.exptime_part;
  r.large = l.value;
  r.value = l.tail;
  if (!l.begun) {
    std::string payload;
    append_record(payload, r);
    close_frame(to, frame_type::large, payload, no_shard, 0);
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
    close_frame(to, frame_type::records, payload, no_shard, 0);
  }
  // Nothing stands for the abandoned state yet: its entry is looked at once more.
  const bool again =
      limits_.exact && l.shard != no_shard && standing == data_port::standing::replaced;
  if (again) shards_[l.shard].sent = l.position - 1;
  close_frame(to, frame_type::chunk, piece, last && !again ? l.shard : no_shard, l.position);
  if (last) {
    if (l.shard != no_shard) shards_[l.shard].waits_for_large = false;
    larges_.pop_front();
    ++larges_sent_;
  }
  return true;
}

// --- scans ---------------------------------------------------------------------------------------

// What has been sent so far brings the peer's scan of this shard to here.
void sender::mark_scan(std::size_t shard, const engine::cursor& reached) {
  const unsigned scan = shards_[shard].scan;
  if (in_flight_.empty()) return note_scanned(shard, scan, reached);
  if (sent_frame& last = in_flight_.back();
      last.bytes == 0 && last.shard == shard && last.scan == scan) {
    last.scanned = reached;
    return;
  }
  sent_frame f{.sequence = last_sequence_, .bytes = 0, .at = in_flight_.back().at, .shard = shard};
  f.scan = scan;
  f.scanned = reached;
  in_flight_.push_back(f);
}

void sender::pay(std::size_t bytes, instant now) {
  if (limits_.sync_rate == 0) return;
  const auto cost = std::chrono::microseconds(static_cast<std::int64_t>(
      static_cast<double>(bytes) * 1e6 / static_cast<double>(limits_.sync_rate)));
  scan_at_ = std::max(scan_at_, now.steady) + cost;
}

bool sender::send_scan(sink& to) {
  if (scan_queue_.empty()) return false;
  const std::size_t number = scan_queue_.front();
  // Large values that the last look found are sent by now: all before the cursor is.
  mark_scan(number, scan_cursor_);
  if (scan_cursor_.done) {
    scan_queue_.pop_front();
    if (scan_queue_.empty())
      look_at_progress(to.now);
    else
      scan_cursor_ = shards_[scan_queue_.front()].scanned;
    return true;
  }
  payload_.clear();
  const engine::cursor from = scan_cursor_;
  bool closed = false;
  std::size_t bytes = 0;
  std::uint64_t records = 0;
  const version newer_than = shards_[number].newer_than;
  for (unsigned look = 0; look < scan_looks && !scan_cursor_.done && larges_.empty() && !closed;
       ++look)
    data_.scan(number, scan_cursor_, scan_budget, newer_than, to.now, [&](const record& r) {
      bytes += record_header_bytes + r.key.size() + r.value_size();
      ++records;
      if (!take(r, no_shard) && payload_.size() >= limits_.frame_bytes) {
        // A look is not cut short: what it still brings goes into frames of its own.
        close_frame(to, frame_type::records, payload_, no_shard, 0);
        payload_.clear();
        closed = true;
      }
      return true;
    });
  if (!payload_.empty()) close_frame(to, frame_type::records, payload_, no_shard, 0);
  progress_.sent(records, bytes);
  pay(bytes, to.now);
  return scan_cursor_ != from;  // or the values are on their way
}

// The peer asked what is held here: versions only, it has the values.
bool sender::send_inventory(sink& to) {
  if (tell_queue_.empty()) return false;
  payload_.clear();
  const engine::cursor from = tell_cursor_;
  for (unsigned look = 0;
       look < scan_looks && !tell_cursor_.done && payload_.size() < limits_.frame_bytes; ++look)
    data_.scan(tell_queue_.front(), tell_cursor_, scan_budget, {}, to.now, [&](const record& r) {
      if (r.kind != record_kind::value) return true;
      record told;
      told.kind = record_kind::held;
      told.key = r.key;
      told.meta.stored = r.meta.stored;
      append_record(payload_, told);
      return true;
    });
  const bool moved = tell_cursor_ != from;
  if (!payload_.empty()) close_frame(to, frame_type::records, payload_, no_shard, 0);
  pay(payload_.size(), to.now);
  if (tell_cursor_.done) {
    tell_queue_.pop_front();
    tell_cursor_ = {};
    if (tell_queue_.empty()) {
      // Not with in_sync: that may wait for the peer's own inventory, and the peer for this.
      char times[sizeof told_wanted_];
      store_le(times, told_wanted_);
      close_frame(to, frame_type::inventory_told, {times, sizeof times}, no_shard, 0);
    }
  }
  return moved;
}

// --- milestones ----------------------------------------------------------------------------------

bool sender::send_milestones(sink& to) {
  if (ask_due_) {
    ask_due_ = false;
    ++asked_;
    ++inventories_asked_;
    close_frame(to, frame_type::inventory_please, {}, no_shard, 0);
    return true;
  }
  if (in_sync_ != milestone::pending || !goal_reached()) return false;
  in_sync_ = milestone::sent;
  close_frame(to, frame_type::in_sync, {}, no_shard, 0);
  in_sync_sequence_ = last_sequence_;
  return true;
}

}  // namespace tandem::replication
