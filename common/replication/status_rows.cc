#include "common/replication/status_rows.h"

#include <cstdint>

namespace tandem::replication {

namespace {

const char* yes_no(bool value) {
  return value ? "yes" : "no";
}

}  // namespace

std::string one_word(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') c = '_';
  return text.empty() ? "none" : text;
}

std::vector<status_row> status_rows(const node_status& s) {
  std::vector<status_row> rows;
  rows.emplace_back("role", to_string(s.role));
  rows.emplace_back("peer", one_word(s.peer));
  rows.emplace_back("link", s.linked ? "up" : "down");
  rows.emplace_back("guest", s.guest   ? (s.visit ? "visiting" : "waiting")
                             : s.visit ? "host"
                                       : "no");
  rows.emplace_back("serving", yes_no(s.serving));
  rows.emplace_back("draining", yes_no(s.draining));
  rows.emplace_back("changing", one_word(s.changing));
  rows.emplace_back("peer_in_sync", yes_no(s.peer_in_sync));
  rows.emplace_back("last_disconnect", one_word(s.last_disconnect));
  rows.emplace_back("alone", yes_no(s.alone));
  rows.emplace_back("ack_replies", to_string(s.replies));
  rows.emplace_back("clock_offset_ms", std::to_string(s.clock_offset_milliseconds));
  const std::pair<const char*, std::uint64_t> numbers[] = {
      {"term", s.term},
      {"node_id", s.node_id},
      {"lag_records", s.lag_records},
      {"lag_bytes", s.lag_bytes},
      {"lag_ms", s.lag_milliseconds},
      {"round_trip_us", s.round_trip_microseconds},
      {"sync_shards", s.shards},
      {"sync_shards_done", s.scanned_shards},
      {"sync_permille", s.sync_permille},
      {"sync_records", s.sync_records},
      {"sync_bytes", s.sync_bytes},
      {"sync_bytes_per_s", s.sync_rate},
      {"sync_seconds_left", s.sync_seconds_left},
      {"records_sent", s.records_sent},
      {"records_received", s.records_received},
      {"records_applied", s.records_applied},
      {"bytes_sent", s.bytes_sent},
      {"bytes_received", s.bytes_received},
      {"refused_by_floor", s.refused_by_floor},
      {"refused_no_room", s.refused_no_room},
      {"full_syncs_sent", s.full_syncs_sent},
      {"partial_syncs_sent", s.partial_syncs_sent},
      {"resumes_sent", s.resumes_sent},
      {"journal_overruns", s.journal_overruns},
      {"inventories_asked", s.inventories_asked},
      {"audits", s.audits},
      {"audit_last", static_cast<std::uint64_t>(unix_seconds(s.last_audit.ended))},
      {"audit_compared", s.last_audit.compared},
      {"audit_differing", s.last_audit.differing},
      {"audit_dropped", s.last_audit.dropped},
      {"audit_repaired", s.last_audit.repaired},
      {"connects", s.connects},
      {"disconnects", s.disconnects},
      {"promotions", s.promotions},
      {"ack_degradations", s.ack_degradations},
      {"handshakes_refused", s.handshakes_refused},
      {"splits", s.splits},
      {"split_conflicts_won", s.conflicts_won},
      {"split_conflicts_lost", s.conflicts_lost},
  };
  for (const auto& [name, value] : numbers) rows.emplace_back(name, std::to_string(value));
  return rows;
}

}  // namespace tandem::replication
