#include "common/admin/snapshot.h"

namespace tandem::admin {

using replication::role_state;

std::string_view role_of(const snapshot& s) noexcept {
  if (!s.replication) return "standalone";
  switch (s.node.role) {
    case role_state::init:
      return "init";
    case role_state::syncing:
      return "syncing";
    case role_state::slave:
      return "slave";
    case role_state::master:
      return "master";
  }
  return "init";
}

std::string_view peer_role_of(const snapshot& s) noexcept {
  if (!s.replication || !s.node.linked) return "unknown";
  if (s.node.role == role_state::master) return s.node.peer_in_sync ? "slave" : "syncing";
  return s.node.role == role_state::init ? "unknown" : "master";
}

bool serving(const snapshot& s) noexcept {
  return s.process.accepting && (!s.replication || s.node.serving);
}

std::uint64_t counter_of(const service::worker_totals& totals, std::string_view name) noexcept {
  for (std::size_t i = 0; i < totals.size(); ++i)
    if (service::worker_counters[i].name == name) return totals[i];
  return 0;
}

std::vector<advice> advise(const snapshot& s) {
  std::vector<advice> all;
  if (!s.pending_restart.empty()) {
    std::string keys;
    for (const std::string& key : s.pending_restart) keys += (keys.empty() ? "" : ", ") + key;
    all.push_back({"switchover", "changed in the file but not in force until a restart: " + keys +
                                     ". Switch over first, then restart the slave"});
  }
  if (!s.replication) return all;
  const replication::node_status& n = s.node;
  if (n.draining)
    all.push_back({"undrain", "this node takes no new clients: undrain when its work is done"});
  if (n.last_audit.differing > n.last_audit.repaired + n.last_audit.dropped)
    all.push_back({"audit --repair", "the last audit found keys that differ"});
  const std::int64_t off = n.clock_offset_milliseconds;
  if (off > 500 || off < -500)
    all.push_back({"", "the nodes' clocks differ by " + std::to_string(off) + " ms: check NTP"});
  if (n.role == role_state::master) {
    if (!n.linked)
      all.push_back({"", "no peer: what is in this cache is nowhere else. Start the other node"});
    else if (!n.peer_in_sync)
      all.push_back({"sync", "the peer is being filled: wait before this node is stopped"});
    else
      all.push_back({"switchover",
                     "both nodes have all the data: before maintenance of this node "
                     "give the mastership to the peer"});
  } else if (n.role == role_state::slave) {
    if (n.linked)
      all.push_back({"switchover", "this node has all the data and can take over"});
    else
      all.push_back({"promote",
                     "the master is out of reach; this node takes over by itself unless "
                     "a hook forbids it"});
  } else {
    all.push_back({"sync", "this node is being filled and takes no client before that is done"});
  }
  return all;
}

}  // namespace tandem::admin
