// Yes-or-no questions about a node: those of load balancers, by Patroni's names, and those of
// scripts. A pure function of a snapshot.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/admin/snapshot.h"

namespace tandem::admin {

struct verdict {
  bool yes = false;
  std::string why;  // a clause: "this node is the master"
};

// The questions, and when the answer is yes:
//   live liveness       the process answers
//   health              it serves clients
//   ready readiness     it serves clients and is not drained
//   primary master leader read-write     ready, and master (or without replication)
//   replica slave       ready, and a slave; with a limit: and no further behind than that
//   read-only           ready, master or slave
//   in-sync             linked, and the peer has everything but the lag
//   lag<LIMIT           linked, and what the peer has not confirmed is less: 2s, 64MiB
// `limit`: of `replica` ("64MiB", "500ms"), or "". Nothing: there is no such question, or the limit
// is none.
std::optional<verdict> judge(std::string_view question, std::string_view limit, const snapshot& s);

// HAProxy's agent-check line, with its end: "up ready", "drain", "down #reason".
std::string agent_line(const snapshot& s);

}  // namespace tandem::admin
