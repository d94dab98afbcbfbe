// A node at one moment, as operators are told of it: /metrics, /status, health and memtandemctl are
// all made from this, so that they never disagree. Filled by proxy/; a value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/admin/latency.h"
#include "common/base/time.h"
#include "common/engine/shard_statistics.h"
#include "common/replication/node.h"
#include "common/service/server.h"
#include "common/service/worker_statistics.h"

namespace tandem::admin {

struct snapshot {
  instant taken;
  // Of the process.
  std::uint64_t run_id = 0;
  service::process_facts process;
  std::vector<std::string> addresses;          // clients', HOST:PORT or a UNIX socket's path
  std::vector<service::stat_row> client_rows;  // idle_kicks and the like
  // Commands, not counting what came before a client's `stats reset`; and since the start.
  service::worker_totals commands{};
  service::worker_totals commands_ever{};
  latency_totals latencies;
  // The cache.
  engine::shard_statistics items;
  std::size_t memory_used = 0, memory_limit = 0;
  std::size_t item_size_max = 0;
  // The pair. `node` means nothing without replication.
  bool replication = false;
  replication::node_status node;
  std::string cluster;
  std::string link_security;  // "secret+tls" and so on
  replication::ack_mode ack = replication::ack_mode::async;
  std::uint64_t ack_errors = 0;
  std::size_t journal_bytes = 0;
  std::vector<std::pair<std::string, std::uint64_t>> promotions;  // by reason
  std::string sentence;                      // for people: "slave in sync with 10.0.0.2, lag 3 ms"
  std::vector<std::string> pending_restart;  // keys whose new values need a restart
};

// "master", "slave", "syncing", "init"; "standalone" without replication.
std::string_view role_of(const snapshot& s) noexcept;
// The other node's, as far as this one knows: "unknown" while there is no link.
std::string_view peer_role_of(const snapshot& s) noexcept;
// Clients are taken.
bool serving(const snapshot& s) noexcept;
// One of the commands' counters by its name in `stats`; 0 if there is none.
std::uint64_t counter_of(const service::worker_totals& totals, std::string_view name) noexcept;

// What an operator can do next, most urgent first.
struct advice {
  std::string_view action;  // a command of memtandemctl, or "" where it is not a command's business
  std::string why;
};
std::vector<advice> advise(const snapshot& s);

}  // namespace tandem::admin
