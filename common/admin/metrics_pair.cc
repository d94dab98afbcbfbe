// The metrics that memcached does not have: the pair's and the latencies'.
#include <array>

#include "common/admin/metric_writer.h"
#include "common/admin/snapshot.h"

namespace tandem::admin {

namespace {

using replication::node_status;

constexpr double per_second_ms = 1e3, per_second_us = 1e6, per_second_ns = 1e9;

void add_link(metric_writer& to, const node_status& n) {
  to.gauge("memtandem_link_up", "The link to the peer is up.", n.linked);
  to.gauge("memtandem_replicas", "Peers that are linked and have everything but the lag.",
           n.linked && n.peer_in_sync ? 1 : 0);
  to.gauge("memtandem_serving", "Clients are taken.", n.serving && !n.draining);
  to.gauge("memtandem_draining", "An operator has drained this node.", n.draining);
  to.gauge("memtandem_term", "The term that this node is in.", n.term);
  to.gauge("memtandem_lag_seconds", "Age of the oldest change that the peer has not confirmed.",
           static_cast<double>(n.lag_milliseconds) / per_second_ms);
  to.gauge("memtandem_lag_records", "Changes that the peer has not confirmed.", n.lag_records);
  to.gauge("memtandem_lag_bytes", "Sent and not confirmed by the peer.", n.lag_bytes);
  to.gauge("memtandem_round_trip_seconds", "The link's round trip, the quickest of the last.",
           static_cast<double>(n.round_trip_microseconds) / per_second_us);
  to.gauge("memtandem_clock_offset_seconds", "The peer's clock minus this node's.",
           static_cast<double>(n.clock_offset_milliseconds) / per_second_ms);
  to.counter("memtandem_link_connects_total", "Times that the peer was met.", n.connects);
  to.counter("memtandem_link_disconnects_total", "Times that the link was lost.", n.disconnects);
  to.counter("memtandem_handshakes_refused_total", "Connections to the link's port refused.",
             n.handshakes_refused);
  to.counter("memtandem_link_sent_bytes_total", "Bytes sent to the peer.", n.bytes_sent);
  to.counter("memtandem_link_received_bytes_total", "Bytes received from the peer.",
             n.bytes_received);
}

void add_sync(metric_writer& to, const node_status& n) {
  to.gauge("memtandem_sync_in_progress", "The peer is being filled, or this node is.",
           n.role == replication::role_state::syncing || (n.linked && !n.peer_in_sync));
  to.gauge("memtandem_sync_ratio", "How much of the copy under way to the peer is done.",
           static_cast<double>(n.sync_permille) / 1000);
  to.gauge("memtandem_sync_bytes_per_second", "What the copy under way sends, lately.",
           n.sync_rate);
  to.family("memtandem_resyncs_total", "counter",
            "Sessions with the peer by what they began with: a copy of everything, one of what is "
            "newer, or none.");
  to.sample(n.full_syncs_sent, {{"kind", "full"}});
  to.sample(n.partial_syncs_sent, {{"kind", "partial"}});
  to.sample(n.resumes_sent, {{"kind", "resume"}});
  to.counter("memtandem_journal_overruns_total", "Times that the journal did not reach back.",
             n.journal_overruns);
  to.family("memtandem_records_total", "counter", "Records on the link, by their fate.");
  to.sample(n.records_sent, {{"direction", "sent"}});
  to.sample(n.records_received, {{"direction", "received"}});
  to.sample(n.records_applied, {{"direction", "applied"}});
  to.family("memtandem_dropped_mutations_total", "counter",
            "The peer's mutations that were not kept, by reason.");
  to.sample(n.refused_by_floor, {{"reason", "evicted_later"}});
  to.sample(n.refused_no_room, {{"reason", "no_room"}});
  to.counter("memtandem_audits_total", "Audits of this node that ended.", n.audits);
  to.gauge("memtandem_audit_differing", "Keys that the last audit found to differ.",
           n.last_audit.differing);
}

void add_role(metric_writer& to, const snapshot& s) {
  to.family("memtandem_role", "gauge", "1 for the role that this node has.");
  for (const std::string_view role : {"standalone", "init", "syncing", "slave", "master"})
    to.sample(role == role_of(s), {{"role", role}});
  to.family("memtandem_failovers_total", "counter",
            "Times that this node became master, by reason.");
  for (const auto& [reason, count] : s.promotions) to.sample(count, {{"reason", reason}});
}

}  // namespace

void add_pair_metrics(metric_writer& to, const snapshot& s) {
  to.family("memtandem_build_info", "gauge", "The version, as a label.");
  to.sample(1, {{"version", MEMTANDEM_VERSION}});
  to.gauge("memtandem_pending_restart", "Keys changed in the file that wait for a restart.",
           s.pending_restart.size());
  add_role(to, s);
  if (!s.replication) return;
  add_link(to, s.node);
  add_sync(to, s.node);
  to.gauge("memtandem_journal_bytes", "Memory that the journal takes.", s.journal_bytes);
  to.family("memtandem_split_conflicts", "gauge",
            "Keys that both nodes had changed in the last partition, by whose change stayed.");
  to.sample(s.node.conflicts_won, {{"winner", "here"}});
  to.sample(s.node.conflicts_lost, {{"winner", "peer"}});
  to.counter("memtandem_splits_total", "Times that two masters met and became one.", s.node.splits);
  to.counter("memtandem_ack_errors_total", "Mutations answered with an error for want of the peer.",
             s.ack_errors);
  to.counter("memtandem_ack_degradations_total", "Times that semisync gave up waiting.",
             s.node.ack_degradations);
}

void add_latency_metrics(metric_writer& to, const snapshot& s) {
  to.family("memtandem_request_duration_seconds", "histogram",
            "From a request read to its reply sent, sampled, by command.");
  for (std::size_t kind = 0; kind < turn_kinds; ++kind) {
    const latency_totals::histogram& h = s.latencies.by_kind[kind];
    const std::string_view command = to_string(static_cast<turn_kind>(kind));
    std::uint64_t so_far = 0;
    for (std::size_t i = 0; i < latency_bounds_us.size(); ++i) {
      so_far += h.buckets[i];
      char bound[24];
      const int n = std::snprintf(bound, sizeof bound, "%g", latency_bounds_us[i] / per_second_us);
      to.sample(so_far, {{"command", command}, {"le", {bound, static_cast<std::size_t>(n)}}},
                "_bucket");
    }
    so_far += h.buckets.back();
    to.sample(so_far, {{"command", command}, {"le", "+Inf"}}, "_bucket");
    to.sample(static_cast<double>(h.nanoseconds) / per_second_ns, {{"command", command}}, "_sum");
    to.sample(so_far, {{"command", command}}, "_count");
  }
}

}  // namespace tandem::admin
