#include "proxy/ctl/node_report.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>

#include "proxy/ctl/text.h"

namespace tandem::ctl {

namespace json = boost::json;

namespace {

constexpr std::chrono::seconds report_limit{5};
constexpr unsigned label_width = 13, ratio_width = 24;

void add(std::string& to, const char* label, const std::string& what) {
  std::string name(label);
  name.resize(label_width, ' ');
  to += name + what + "\n";
}

std::string pair_text(const node_report& node) {
  if (node.text("/replication/link") != "up")
    return "down" + (node.text("/replication/last_disconnect") == "none"
                         ? std::string()
                         : ", lost: " + node.text("/replication/last_disconnect"));
  char text[160];
  std::snprintf(text, sizeof text, "up to %s (%s), lag %.0f ms, %.0f records; round trip %.0f us",
                node.text("/replication/peer").c_str(), node.text("/peer_role").c_str(),
                node.number("/replication/lag_ms"), node.number("/replication/lag_records"),
                node.number("/replication/round_trip_us"));
  return harmless(text);
}

std::string sync_text(const node_report& node) {
  const double permille = node.number("/replication/sync_permille");
  if (node.text("/replication/link") != "up") return "";
  if (node.is("/replication/peer_in_sync")) return "the peer has everything";
  return bar(permille / 1000, ratio_width) + ", " +
         human_bytes(node.number("/replication/sync_bytes_per_s")) + "/s, " +
         human_seconds(node.number("/replication/sync_seconds_left")) + " left";
}

std::string commands_text(const node_report& node) {
  const double hits = node.number("/commands/get_hits"),
               misses = node.number("/commands/get_misses");
  char text[160];
  std::snprintf(text, sizeof text, "%s gets, %s sets; hit ratio %.1f %%",
                human_count(node.number("/commands/cmd_get")).c_str(),
                human_count(node.number("/commands/cmd_set")).c_str(),
                hits + misses > 0 ? 100 * hits / (hits + misses) : 0.0);
  return text;
}

}  // namespace

std::optional<node_report> node_report::fetch(node_desk& node, desk_answer& why) {
  why = node.ask("report", report_limit);
  if (why.what != desk_answer::result::done || why.lines.empty()) return std::nullopt;
  boost::system::error_code ec;
  json::value parsed = json::parse(why.lines.front(), ec);
  if (!ec && parsed.is_object()) return node_report(std::move(parsed));
  why.what = desk_answer::result::refused;
  why.error = "the node's report is not understood: " + ec.message();
  return std::nullopt;
}

double node_report::number(std::string_view path) const {
  boost::system::error_code ec;
  const json::value* const found = value_.find_pointer(path, ec);
  if (found == nullptr || !found->is_number()) return 0;
  return found->to_number<double>();
}

std::string node_report::text(std::string_view path) const {
  boost::system::error_code ec;
  const json::value* const found = value_.find_pointer(path, ec);
  if (found == nullptr) return {};
  if (!found->is_string()) return json::serialize(*found);
  return harmless(std::string_view(found->get_string()));
}

bool node_report::is(std::string_view path) const {
  const std::string what = text(path);
  return what == "true" || what == "yes";
}

std::string status_text(const node_report& node) {
  std::string to;
  add(to, "role",
      node.text("/role") + (node.is("/serving") ? ", serving" : ", takes no clients") +
          (node.is("/replication/draining") ? ", drained" : ""));
  add(to, "", node.text("/sentence"));
  if (node.json().as_object().contains("replication")) {
    add(to, "term",
        node.text("/replication/term") + ", node " + node.text("/replication/node_id") + " of " +
            node.text("/replication/cluster"));
    add(to, "link", pair_text(node));
    if (const std::string sync = sync_text(node); !sync.empty()) add(to, "sync", sync);
  }
  add(to, "commands", commands_text(node));
  add(to, "memory",
      bar(node.number("/memory/used_bytes") / node.number("/memory/limit_bytes"), ratio_width) +
          " of " + human_bytes(node.number("/memory/limit_bytes")) + ", " +
          human_count(node.number("/cache/items")) + " items, " +
          human_count(node.number("/cache/evictions")) + " evicted");
  add(to, "connections",
      node.text("/connections/current") + " of " + node.text("/connections/max") + ", " +
          node.text("/connections/rejected") + " rejected");
  add(to, "version",
      node.text("/version") + ", up " + human_seconds(node.number("/process/uptime_seconds")) +
          ", pid " + node.text("/process/pid"));
  const json::value* const advice = node.json().as_object().if_contains("advice");
  if (advice == nullptr || !advice->is_array()) return to;
  for (const json::value& each : advice->get_array()) {
    const node_report one(each);
    const std::string action = one.text("/action");
    add(to, "next", (action.empty() ? "" : "memtandemctl " + action + ": ") + one.text("/why"));
  }
  return to;
}

std::string event_text(const json::value& event) {
  const node_report e(event);
  std::string severity = e.text("/severity");
  severity = severity == "info" ? "" : severity + ": ";
  std::string kind = e.text("/kind");
  kind.resize(9, ' ');
  return clock_text(e.number("/time")) + "  " + kind + " " + severity + e.text("/text") + "\n";
}

}  // namespace tandem::ctl
