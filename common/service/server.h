// What a connection knows of the process around it: facts that only the outside (proxy/) can tell,
// for `stats` and the few commands that act on the process, and what all connections share.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/backend/lane.h"
#include "common/base/time.h"
#include "common/service/ack_gate.h"
#include "common/service/crawler.h"
#include "common/service/prefix_statistics.h"
#include "common/service/watch_hub.h"
#include "common/service/worker_statistics.h"

namespace tandem::service {

class write_routes;

// Facts about the process, sampled when asked.
struct process_facts {
  std::int64_t pid = 0;
  std::int64_t uptime_seconds = 0;
  double rusage_user = 0, rusage_system = 0;  // seconds
  std::uint64_t connections_max = 0, connections_current = 0, connections_total = 0;
  std::uint64_t connections_rejected = 0, connection_structures = 0;
  std::uint64_t listen_disabled = 0, listen_disabled_microseconds = 0;
  bool accepting = true;
  unsigned threads = 1;
  int verbosity = 0;
};

// What the configuration lets clients do to all.
struct command_policy {
  bool flush_all = true;
  bool shutdown = false;
  bool dumps = true;  // of keys
  bool watch = true;
};

// A `STAT name value` row. Neither holds a space, a CR or a LF: scrapers split on them.
using stat_row = std::pair<std::string, std::string>;

// Implemented by proxy/; called from any worker thread.
class server {
 public:
  virtual ~server() = default;
  virtual process_facts facts() const = 0;
  // The counters of every worker (the vector does not change after start).
  virtual const std::vector<worker_statistics*>& workers() const = 0;
  // Rows of `stats settings` that come from the configuration; they stand for the service's own
  // rows of the same name.
  virtual std::vector<stat_row> settings() const = 0;
  // Rows of `stats replication`. Those named `replication` and `repcached_*` (the role as Repcached
  // prints it) are in plain `stats` too.
  virtual std::vector<stat_row> replication() const = 0;
  // Rows of `stats conns`, named `<fd>:addr` and the like.
  virtual std::vector<stat_row> connections() const { return {}; }
  // Rows of plain `stats` about what serves the clients' sockets.
  virtual std::vector<stat_row> client_rows() const { return {}; }
  virtual command_policy policy() const { return {}; }
  // Whether there is such a user.
  virtual bool authenticate(std::string_view /*user*/, std::string_view /*password*/) {
    return false;
  }
  // A client sent flush_all; the answer to who it is stays outside.
  virtual void flush_requested(bool /*allowed*/) {}
  // Ends the process, soon. memcached's `graceful` is how we always end.
  virtual void shut_down(bool /*graceful*/) {}
  // Loads the certificates again; empty, or what went wrong in a line without its end.
  virtual std::string refresh_certificates() { return "Error TLS not enabled"; }
  virtual void set_verbosity(int level) = 0;
  virtual void reset_statistics() = 0;  // connection counts and the like
  // Something was journaled: wake the link. Called at most once per received()/resume().
  virtual void mutated() = 0;

  // Where replies to mutations wait for the peer; null: they do not. The same for the life of a
  // connection.
  virtual ack_gate* acks() noexcept { return nullptr; }
  // A reply has waited its time in semisync: the rule has to change.
  virtual void acknowledgement_late() {}

  // Where commands are executed; null: all of them here. The same for the life of a connection.
  virtual const write_routes* routes() noexcept { return nullptr; }

  // Where the data is, if not in the store. The same for the life of a connection.
  virtual backend::lanes* backends() noexcept { return nullptr; }

  // Shared by all connections.
  prefix_statistics& prefixes() noexcept { return prefixes_; }
  statistics_baseline& baseline() noexcept { return baseline_; }
  const statistics_baseline& baseline() const noexcept { return baseline_; }
  watch_hub& watchers() noexcept { return watchers_; }
  crawler& crawls() noexcept { return crawls_; }

 private:
  prefix_statistics prefixes_;
  statistics_baseline baseline_;
  watch_hub watchers_;
  crawler crawls_;
};

}  // namespace tandem::service
