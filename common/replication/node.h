// A node of the pair as a step function: link sessions, role and data streams. The same events in
// the same order give the same effects; the simulator relies on it.
//
// Not thread-safe: one thread (proxy/peer_link.h holds a mutex for the readers of status()).
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/replication/auditor.h"
#include "common/replication/compression.h"
#include "common/replication/data_port.h"
#include "common/replication/event.h"
#include "common/replication/role.h"
#include "common/replication/secret.h"

namespace tandem::replication {

using std::chrono::milliseconds;

// Which hooks are configured: none costs nothing.
struct hook_set {
  bool pre_promote = false, post_promote = false, post_demote = false, split_heal = false;
};

struct node_options {
  std::string cluster = "memtandem";  // both nodes must name the same
  std::uint64_t run_id = 0;           // random, new in every process; not 0
  std::optional<unsigned> node_id;    // 0..7; unset: from run_id, changed if the peer has the same
  std::string peer;                   // HOST:PORT to dial, for the log; empty: only be dialled
  secrets known_secrets;              // none: nobody has to prove anything
  milliseconds heartbeat_interval{200};
  milliseconds dead_after{1000};
  milliseconds connect_timeout{1000};
  milliseconds reconnect_delay_min{100};
  milliseconds reconnect_delay_max{1000};
  milliseconds join_timeout{3000};
  milliseconds takeover_grace{80};  // a slave whose link was closed looks for its master so long
  milliseconds batch_interval{1};
  milliseconds clock_skew_max{60000};
  ack_mode ack = ack_mode::async;  // what replies to mutations wait for
  milliseconds ack_timeout{1000};  // and how long; so long may a forwarded command take, too
  writes_mode writes = writes_mode::both;
  bool writes_need_peer = false;  // writes_on_partition: error
  syncing_mode while_syncing = syncing_mode::refuse;
  // It has no data for now (its backend is gone) and takes none: it is nobody's peer, and never
  // master. With read_through it is the guest of a master, who executes its clients' commands.
  bool guest = false;
  // The process was master in this term until it became a guest.
  std::optional<std::uint64_t> reigned;
  milliseconds handover_timeout{10000};  // of a switchover; then all is as before
  bool close_on_demotion = false;        // the clients of a node that was master and is slave
  hook_set hooks;
  milliseconds clock_skew_warn{500};     // 0: never
  milliseconds audit_interval{0};        // between a master's audits; 0: none
  std::size_t frame_bytes = 64 << 10;    // a data frame's payload is cut at about this size
  std::size_t window_bytes = 4 << 20;    // unacknowledged data that may be under way
  std::size_t unsent_bytes = 256 << 10;  // data handed over but not yet taken by the kernel
  replication::compression compression =
      replication::compression::none;  // if the peer can expand it
  std::size_t sync_rate = 0;           // bytes a second that a scan may send; 0: any
};

struct node_status {
  role_state role = role_state::init;
  std::uint64_t term = 0;
  unsigned node_id = 0;
  std::string peer;           // as dialled or as it came; empty: none seen yet
  bool linked = false;        // handshake done
  bool guest = false;         // it has no data for now,
  bool visit = false;         // and is with a master; or, of a master: such a one is with it
  bool serving = false;       // clients are taken
  bool draining = false;      // ... or were, until an operator said drain
  std::string changing;       // what is under way: "switchover", "pre_promote", "vetoed"; or empty
  bool peer_in_sync = false;  // everything here but the lag is at the peer
  // The lag, true at the moment of asking: mutations not yet acknowledged by the peer.
  std::uint64_t lag_records = 0;
  std::uint64_t lag_bytes = 0;                   // sent and not acknowledged
  std::uint64_t lag_milliseconds = 0;            // age of the oldest of them, by this node's clock
  std::uint64_t scanned_shards = 0, shards = 0;  // progress of a scan under way
  std::int64_t clock_offset_milliseconds = 0;    // the peer's clock minus ours, while linked
  std::uint64_t round_trip_microseconds = 0;     // the quickest of the last few
  unsigned sync_permille = 0;                    // of what the session's scan is to look at
  std::uint64_t sync_records = 0;                // sent by it
  std::uint64_t sync_bytes = 0;                  // of keys and values
  std::uint64_t sync_rate = 0;                   // bytes a second, lately
  std::uint64_t sync_seconds_left = 0;           // about; 0: not known, or done
  std::uint64_t audits = 0;                      // of this node's that ended
  bool audit_running = false;
  audit_report last_audit;
  // Counters since start.
  std::uint64_t records_sent = 0, records_received = 0, records_applied = 0;
  std::uint64_t bytes_sent = 0, bytes_received = 0;
  std::uint64_t refused_by_floor = 0, refused_no_room = 0;
  std::uint64_t splits = 0;                             // two masters met, and are one again
  std::uint64_t conflicts_won = 0, conflicts_lost = 0;  // of the last split (split.h)
  std::uint64_t full_syncs_sent = 0, partial_syncs_sent = 0, resumes_sent = 0;
  std::uint64_t journal_overruns = 0, inventories_asked = 0;
  std::uint64_t connects = 0, disconnects = 0, promotions = 0;
  // Replies to mutations: their rule, and how often semisync gave up waiting.
  reply_rule replies = reply_rule::at_once;
  bool alone = false;  // an operator let it go on without a peer
  std::uint64_t ack_degradations = 0;
  std::uint64_t handshakes_refused = 0;  // of whatever connected
  std::string last_disconnect;           // reason
};

class node {
 public:
  // `data` outlives the node. `seed` feeds the jitter.
  node(const node_options& options, data_port& data, std::uint64_t seed);
  ~node();
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  // Advances by one event; the effects are to be carried out in order before the next step.
  std::vector<any_effect> step(const any_event& what, instant now);

  // When a tick is wanted next, whatever else happens.
  steady_time deadline() const;

  // Whether the next mutation must be told by event::mutated. False while the node is going to look
  // at the journals by itself (no link, or a batch is due at the deadline): a mutation costs its
  // worker nothing then.
  bool waits_for_mutation() const;

  node_status status(instant now) const;

 private:
  class core;
  std::unique_ptr<core> core_;
};

}  // namespace tandem::replication
