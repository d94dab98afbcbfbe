#include "common/admin/status_json.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>

#include "common/replication/status_rows.h"
#include "common/service/slab_stats.h"
#include "common/service/stats.h"

namespace tandem::admin {

namespace {

namespace json = boost::json;

constexpr double microseconds_per_second = 1e6;

double unix_time(wall_time at) {
  return static_cast<double>(at.time_since_epoch().count()) / microseconds_per_second;
}

json::value number_or_text(const std::string& text) {
  std::int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && stop == end) return number;
  return json::value(json::string(text));
}

std::string_view severity_name(replication::effect::level level) {
  using enum replication::effect::level;
  return level == error ? "error" : level == warning ? "warning" : "info";
}

json::array events_array(const std::vector<event>& events) {
  json::array all;
  for (const event& e : events)
    all.push_back(json::object{{"number", e.number},
                               {"time", unix_time(e.at)},
                               {"severity", severity_name(e.severity)},
                               {"kind", to_string(e.kind)},
                               {"text", e.text},
                               {"reason", e.reason}});
  return all;
}

json::object process_object(const snapshot& s) {
  json::array addresses;
  for (const std::string& each : s.addresses) addresses.emplace_back(each);
  json::array pending;
  for (const std::string& each : s.pending_restart) pending.emplace_back(each);
  return {{"pid", s.process.pid},
          {"run_id", std::to_string(s.run_id)},
          {"uptime_seconds", s.process.uptime_seconds},
          {"cpu_user_seconds", s.process.rusage_user},
          {"cpu_system_seconds", s.process.rusage_system},
          {"threads", s.process.threads},
          {"listen", std::move(addresses)},
          {"pending_restart", std::move(pending)}};
}

json::object connections_object(const snapshot& s) {
  json::object o{{"current", s.process.connections_current},
                 {"max", s.process.connections_max},
                 {"total", s.process.connections_total},
                 {"rejected", s.process.connections_rejected},
                 {"accepting", s.process.accepting}};
  for (const auto& [name, value] : s.client_rows) o[name] = number_or_text(value);
  return o;
}

json::object commands_object(const snapshot& s) {
  json::object o;
  for (std::size_t i = 0; i < s.commands_ever.size(); ++i)
    o[service::worker_counters[i].name] = s.commands_ever[i];
  return o;
}

json::object memory_object(const snapshot& s) {
  json::array bands;
  for (unsigned band = 0; band < engine::bands; ++band) {
    const engine::band_statistics& b = s.items.by_band[band];
    const bool last = band >= engine::band_bytes_max.size();
    bands.push_back(
        json::object{{"item_bytes_max", last ? s.item_size_max : engine::band_bytes_max[band]},
                     {"items", b.items},
                     {"bytes", b.bytes},
                     {"evictions", b.evictions},
                     {"reclaimed", b.reclaimed}});
  }
  return {{"limit_bytes", s.memory_limit},
          {"used_bytes", s.memory_used},
          {"items_bytes", s.items.item_bytes},
          {"index_bytes", s.items.index_bytes},
          {"tombstone_bytes", s.items.tombstone_bytes},
          {"dead_bytes", s.items.dead_bytes},
          {"large_bytes", s.items.large_bytes},
          {"journal_bytes", s.journal_bytes},
          {"bands", std::move(bands)}};
}

json::object cache_object(const snapshot& s) {
  return {{"items", s.items.items},           {"items_ever", s.items.total_items},
          {"evictions", s.items.evictions},   {"reclaimed", s.items.reclaimed},
          {"tombstones", s.items.tombstones}, {"out_of_memory", s.items.out_of_memory}};
}

json::object latency_object(const snapshot& s) {
  json::array bounds;
  for (const std::uint32_t each : latency_bounds_us) bounds.emplace_back(each);
  json::object o{{"sampled_one_in", latency_recorder::sample_every},
                 {"bounds_us", std::move(bounds)}};
  json::object commands;
  for (std::size_t kind = 0; kind < turn_kinds; ++kind) {
    json::array buckets;
    for (const std::uint64_t each : s.latencies.by_kind[kind].buckets) buckets.emplace_back(each);
    commands[to_string(static_cast<turn_kind>(kind))] = std::move(buckets);
  }
  o["commands"] = std::move(commands);
  return o;
}

json::object replication_object(const snapshot& s) {
  json::object o;
  for (const auto& [name, value] : replication::status_rows(s.node))
    o[name] = number_or_text(value);
  o["cluster"] = s.cluster;
  o["security"] = s.link_security;
  o["ack"] = replication::to_string(s.ack);
  o["ack_errors"] = s.ack_errors;
  json::object promotions;
  for (const auto& [reason, count] : s.promotions) promotions[reason] = count;
  o["promotions_by_reason"] = std::move(promotions);
  return o;
}

json::array advice_array(const snapshot& s) {
  json::array all;
  for (const advice& each : advise(s))
    all.push_back(json::object{{"action", each.action}, {"why", each.why}});
  return all;
}

}  // namespace

std::string status_json(const snapshot& s, const std::vector<event>& events) {
  json::object o{{"name", "memtandem"},
                 {"version", MEMTANDEM_VERSION},
                 {"memcached_version", service::version_text},
                 {"time", unix_time(s.taken.wall)},
                 {"role", role_of(s)},
                 {"peer_role", peer_role_of(s)},
                 {"serving", serving(s)},
                 {"sentence", s.sentence}};
  o["process"] = process_object(s);
  o["connections"] = connections_object(s);
  o["commands"] = commands_object(s);
  o["cache"] = cache_object(s);
  o["memory"] = memory_object(s);
  o["latency"] = latency_object(s);
  if (s.replication) o["replication"] = replication_object(s);
  o["advice"] = advice_array(s);
  o["events"] = events_array(events);
  return json::serialize(o);
}

std::string events_json(const std::vector<event>& events) {
  return json::serialize(json::object{{"events", events_array(events)}});
}

std::string verdict_json(const verdict& v, const snapshot& s) {
  return json::serialize(json::object{{"ok", v.yes}, {"role", role_of(s)}, {"why", v.why}});
}

std::string answer_json(bool ok, std::string_view text) {
  return json::serialize(json::object{{"ok", ok}, {ok ? "answer" : "error", text}});
}

}  // namespace tandem::admin
