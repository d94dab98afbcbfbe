// The outgoing data of a link: what of this node's state the peer is known to have, what is under
// way, and what to send next. Live changes go before the scan; a large value shares the link with
// both, a chunk at a time.
//
// Positions are per shard in the shard's journal. A session begins by resuming from the
// acknowledged positions or by a scan: the journal's end is noted first and followed from there, so
// what changes during the scan is sent too, and the merge rule makes the overlap harmless.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/replication/data_port.h"
#include "common/replication/frame.h"

namespace tandem::replication {

struct sender_limits {
  std::size_t frame_bytes = 64 << 10;  // a frame is closed at this size
  std::size_t window_bytes = 4 << 20;  // sent and not acknowledged, at most about this
  // Somebody waits for acknowledgements: an acknowledged position stands for the state that it
  // names or a later one, at the price of sending a key that changes often more than once.
  bool exact = false;
};

class sender {
 public:
  sender(const sender_limits& limits, data_port& data);

  // Whether a session could go on from the acknowledged positions: the peer was filled once and the
  // journals still reach back to there.
  bool resumable() const;

  // A session begins; `resume` only if resumable() on both sides.
  void begin(bool resume);
  // The session is over: what was not acknowledged will be sent again, if it can.
  void end();

  enum class pumped : std::uint8_t {
    dry,     // nothing more to send until something changes
    window,  // the window is full: an acknowledgement will open it
    more,    // budget or the work allowed in one call is used up
  };
  // Appends frames for the peer, at most about `budget` bytes, numbering them from `sequence` on.
  pumped pump(std::string& out, std::uint64_t& sequence, std::size_t budget, instant now);
  // The peer has applied all frames up to `sequence`. False if it cannot have.
  [[nodiscard]] bool acknowledged(std::uint64_t sequence);
  // The peer wants everything once more; what is there already is recognised there by its version.
  void scan_again();
  // Lets the store forget what the peer knows by now although nothing was written lately.
  void confirm_all();

  // The peer has everything that was here when the session began.
  bool peer_in_sync() const noexcept { return in_sync_ == milestone::acknowledged; }
  // The peer is in sync, and has every change journaled before `upto`, a position for each shard.
  bool confirmed(const std::vector<journal::position>& upto) const;
  bool scanning() const noexcept { return !scan_queue_.empty(); }
  // A scan or a large value is under way: worth sending without waiting for a batch to fill.
  bool bulk() const noexcept { return scanning() || !larges_.empty(); }

  struct lag {
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    version oldest;  // of the oldest unacknowledged change still named by a journal; 0: none is
  };
  lag measure() const;
  std::size_t shards_to_scan() const noexcept { return scan_queue_.size(); }
  std::uint64_t records_sent() const noexcept { return records_sent_; }
  std::uint64_t overruns() const noexcept { return overruns_; }

 private:
  // Sent frames that carry data, oldest first.
  struct sent_frame {
    std::uint64_t sequence;
    std::size_t bytes;
    std::size_t shard;  // whose journal position it advances, no_shard or flush_register
    journal::position position = 0;
  };
  struct large_record {
    std::string key;
    engine::item_meta meta;
    engine::large_ref value;
    std::string tail;                // its last bytes, which lie elsewhere (engine/item.h)
    std::size_t shard;               // whose journal waits for it, or no_shard (found by a scan)
    journal::position position = 0;  // of the journal once it is sent
    std::size_t offset = 0;          // bytes sent
    bool begun = false;
  };
  // "Everything is there" is sent once per session, after what it refers to.
  enum class milestone : std::uint8_t { pending, sent, acknowledged };
  static constexpr std::size_t no_shard = static_cast<std::size_t>(-1);
  // Of the frame that carries the flush_all register: its position numbers the register's states.
  static constexpr std::size_t flush_register = static_cast<std::size_t>(-2);

  bool send_flush(std::string& out, std::uint64_t& sequence);
  bool send_large(std::string& out, std::uint64_t& sequence);
  bool send_journal(std::string& out, std::uint64_t& sequence, instant now);
  bool send_scan(std::string& out, std::uint64_t& sequence, instant now);
  bool send_milestones(std::string& out, std::uint64_t& sequence);
  bool goal_reached();
  void note_overrun(std::size_t shard);
  void say_in_sync_again();
  bool take(const record& r, std::size_t shard, journal::position after);
  void confirm(const sent_frame& f);
  void close_frame(std::string& out, std::uint64_t& sequence, frame_type type,
                   std::string_view payload, std::size_t shard, journal::position position);

  const sender_limits limits_;
  data_port& data_;

  std::vector<journal::position> acked_;
  std::vector<journal::position> sent_;
  std::vector<bool> waits_for_large_;    // shards whose journal is held up by a large value
  std::vector<journal::position> goal_;  // positions to reach before "in sync" is said
  std::deque<sent_frame> in_flight_;
  std::size_t in_flight_bytes_ = 0;
  std::deque<std::size_t> scan_queue_;  // shards to scan; the first is under way
  engine::cursor scan_cursor_;
  std::deque<large_record> larges_;
  flush_state flush_sent_;
  std::string payload_;         // of the frame being filled
  std::size_t next_shard_ = 0;  // whose journal is looked at first
  milestone in_sync_ = milestone::pending;
  std::uint64_t in_sync_sequence_ = 0;
  bool goal_set_ = false;
  std::uint64_t larges_queued_ = 0, larges_sent_ = 0, goal_larges_ = 0;
  bool ask_for_scan_ = false;        // after an overrun: the peer may hold what was lost here
  bool filled_ = false;              // the peer has, or had, all that is older than acked_
  std::uint64_t last_sequence_ = 0;  // of the last data frame
  bool any_sent_ = false;
  std::uint64_t records_sent_ = 0;
  std::uint64_t overruns_ = 0;
};

}  // namespace tandem::replication
