// The outgoing data of a link: what of this node's state the peer is known to have, what is under
// way, and what to send next. Live changes go before the scan; a large value shares the link with
// both, a chunk at a time.
//
// What the peer has is known shard by shard and kept between sessions, for as long as both are the
// same processes. A session goes on from there:
// - the shard's journal reaches back to what is acknowledged: it is followed from there;
// - it does not (more changed than it holds): what is newer than the version up to which the peer
//   is known to have everything is found by a scan, and the journal followed from its present end;
// - nothing is known of the peer: the same scan, for everything.
// A scan that a lost link cuts short is taken up where it was acknowledged. What changes during a
// scan is journaled and sent too; the merge rule makes the overlap harmless.
//
// A scan finds what is here. That something is here no more (evicted, or a tombstone dropped) is
// told by the journal alone: where such news fell out of it, the peer is asked what it holds, and
// what is void of that is journaled anew (the `held` records).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/replication/compression.h"
#include "common/replication/data_port.h"
#include "common/replication/frame.h"
#include "common/replication/routing.h"
#include "common/replication/send_window.h"
#include "common/replication/sync_progress.h"

namespace tandem::replication {

struct sender_limits {
  std::size_t frame_bytes = 64 << 10;           // a frame is closed at this size
  std::size_t window_bytes = 4 << 20;           // sent and not acknowledged, at most about this
  std::chrono::milliseconds window_delay{250};  // see send_window.h
  std::size_t sync_rate = 0;                    // bytes a second that a scan may send; 0: any
  // Somebody waits for acknowledgements: an acknowledged position stands for the state that it
  // names or a later one, at the price of sending a key that changes often more than once.
  bool exact = false;
};

class sender {
 public:
  sender(const sender_limits& limits, data_port& data);

  // Whether a session with the same peer would be served by the journals alone.
  bool resumable() const;

  // A session begins; `known`: with the same process as the last one, and it thinks so too.
  // `method`: how frames are compressed, which the peer can expand.
  void begin(bool known, compression method, instant now);
  // The session is over: what was not acknowledged will be sent again.
  void end();
  // Without a session: journals that do not reach back to what the peer has are of no use.
  void drop_useless_journals();

  enum class pumped : std::uint8_t {
    dry,     // nothing more to send until something changes (or held_until())
    window,  // the window is full: an acknowledgement will open it
    more,    // budget or the work allowed in one call is used up
  };
  // Appends frames for the peer, at most about `budget` bytes, numbering them from `sequence` on.
  pumped pump(std::string& out, std::uint64_t& sequence, std::size_t budget, instant now);
  // When a scan that is throttled may go on; unset: none is waiting.
  std::optional<steady_time> held_until() const noexcept;
  // The peer has applied all frames up to `sequence`. False if it cannot have.
  [[nodiscard]] bool acknowledged(std::uint64_t sequence, instant now);
  // What the journal names before the mark has gone out in this session.
  bool has_sent(const mutation_mark& m) const;
  // The peer wants to know what is held here.
  void tell_inventory();
  // The peer has told what it holds, as often as `times` in this session.
  void heard_inventory(std::uint32_t times);
  // Lets the store forget what the peer knows by now although nothing was written lately.
  void confirm_all();

  // The peer has everything that was here when the session began.
  bool peer_in_sync() const noexcept { return in_sync_ == milestone::acknowledged; }
  bool scanning() const noexcept { return !scan_queue_.empty() || !tell_queue_.empty(); }
  // A scan or a large value is under way: worth sending without waiting for a batch to fill.
  bool bulk(instant now) const noexcept { return (scanning() && !held(now)) || !larges_.empty(); }
  // Whether the session began with a scan, and of everything, of at least a shard.
  bool scans() const noexcept { return shards_scanned_ > 0; }
  bool scans_all() const noexcept { return scans_all_; }

  struct lag {
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    version oldest;  // of the oldest unacknowledged change still named by a journal; 0: none is
  };
  lag measure() const;
  std::size_t shards_to_scan() const noexcept { return scan_queue_.size(); }
  void look_at_progress(instant now);
  const sync_progress& progress() const noexcept { return progress_; }
  std::uint64_t records_sent() const noexcept { return records_sent_; }
  std::uint64_t overruns() const noexcept { return overruns_; }
  std::uint64_t inventories_asked() const noexcept { return inventories_asked_; }

  // Where the journals end now; and whether the peer has all that was here when they ended there.
  std::vector<journal::position> journal_ends() const;
  bool acknowledged_up_to(const std::vector<journal::position>& positions) const;

 private:
  // What the peer has of a shard.
  struct shard_state {
    bool followed = false;         // the journal is kept for the peer
    journal::position acked = 0;   // it has what was journaled before, back to where that began
    journal::position sent = 0;    // in this session
    bool filled = false;           // and all that was stored before that
    bool filled_once = false;      // it had all older than data_port::confirmed()
    version newer_than;            // the scan leaves out what is older, for the peer has it
    unsigned scan = 0;             // counts the scans
    engine::cursor scanned;        // of the scan: acknowledged up to here
    bool waits_for_large = false;  // the journal is held up by a large value
    journal::position goal = 0;    // to be sent before "in sync" is said
  };
  // Sent frames that carry data, oldest first. What an acknowledgement means for a shard: a
  // position of its journal is reached, or a cursor of its scan.
  struct sent_frame {
    std::uint64_t sequence;
    std::size_t bytes;
    steady_time at;
    std::size_t shard;  // no_shard or flush_register
    journal::position position = 0;
    unsigned scan = 0;  // 0: it is the journal's
    engine::cursor scanned{};
  };
  struct large_record {
    std::string key;
    engine::item_meta meta;
    engine::large_ref value;
    std::string tail;   // its last bytes, which lie elsewhere (engine/item.h)
    std::size_t shard;  // whose journal waits for it, or no_shard (found by a scan)
    std::int8_t exptime_part = 0;
    journal::position position = 0;  // of the journal once it is sent
    std::size_t offset = 0;          // bytes sent
    bool begun = false;
  };
  // "Everything is there" is sent once per session, after what it refers to.
  enum class milestone : std::uint8_t { pending, sent, acknowledged };
  static constexpr std::size_t no_shard = static_cast<std::size_t>(-1);
  // Of the frame that carries the flush_all register: its position numbers the register's states.
  static constexpr std::size_t flush_register = static_cast<std::size_t>(-2);

  // Where frames go in a call of pump().
  struct sink {
    std::string& out;
    std::uint64_t& sequence;
    instant now;
  };

  // --- sender_data.cc --------------------------------------------------------------------------
  bool send_flush(sink& to);
  bool send_large(sink& to);
  bool send_journal(sink& to);
  bool send_scan(sink& to);
  bool send_inventory(sink& to);
  bool send_milestones(sink& to);
  bool take(const record& r, std::size_t shard);
  void close_frame(sink& to, frame_type type, std::string_view payload, std::size_t shard,
                   journal::position position);
  void mark_scan(std::size_t shard, const engine::cursor& reached);
  void pay(std::size_t bytes, instant now);
  bool held(instant now) const noexcept { return now.steady < scan_at_; }

  // --- sender.cc -------------------------------------------------------------------------------
  bool reaches_back(std::size_t shard) const;
  void start_over(std::size_t shard);
  void queue_scan(std::size_t shard, instant now);
  bool goal_reached();
  void say_in_sync_again();
  void note_scanned(std::size_t shard, unsigned scan, const engine::cursor& reached);

  const sender_limits limits_;
  data_port& data_;

  std::vector<shard_state> shards_;
  std::deque<sent_frame> in_flight_;
  std::size_t in_flight_bytes_ = 0;
  send_window window_;
  std::deque<std::size_t> scan_queue_;  // shards to scan; the first is under way
  engine::cursor scan_cursor_;
  std::deque<std::size_t> tell_queue_;  // shards to tell the inventory of
  engine::cursor tell_cursor_;
  steady_time scan_at_{};  // a scan may send from then on
  std::deque<large_record> larges_;
  flush_state flush_sent_;
  compressor compressor_;
  std::string payload_;         // of the frame being filled
  std::size_t next_shard_ = 0;  // whose journal is looked at first
  milestone in_sync_ = milestone::pending;
  std::uint64_t in_sync_sequence_ = 0;
  bool goal_set_ = false;
  std::uint64_t larges_queued_ = 0, larges_sent_ = 0, goal_larges_ = 0;
  bool news_lost_ = false;         // the peer may hold what was dropped here
  bool ask_due_ = false;           // so it is to be asked
  std::uint32_t asked_ = 0;        // in this session
  std::uint32_t told_wanted_ = 0;  // how often the peer has asked in this session
  std::size_t shards_scanned_ = 0;
  bool scans_all_ = false;
  sync_progress progress_;
  std::uint64_t last_sequence_ = 0;  // of the last data frame
  bool any_sent_ = false;
  std::uint64_t records_sent_ = 0;
  std::uint64_t overruns_ = 0;
  std::uint64_t inventories_asked_ = 0;
};

}  // namespace tandem::replication
