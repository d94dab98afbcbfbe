#include "common/admin/health.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace tandem::admin {

namespace {

using replication::role_state;

// A size or a duration, as the configuration writes them.
struct lag_limit {
  bool in_time = false;
  std::uint64_t value = 0;  // milliseconds, or bytes
};

struct unit {
  std::string_view name;
  bool time;
  std::uint64_t factor;
};
constexpr std::array units = {
    unit{"ms", true, 1},         unit{"s", true, 1000},       unit{"m", true, 60'000},
    unit{"h", true, 3'600'000},  unit{"", false, 1},          unit{"b", false, 1},
    unit{"kib", false, 1 << 10}, unit{"kb", false, 1 << 10},  unit{"mib", false, 1 << 20},
    unit{"mb", false, 1 << 20},  unit{"gib", false, 1 << 30}, unit{"gb", false, 1 << 30},
};

std::optional<lag_limit> parse_limit(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number > (std::uint64_t{1} << 32)) return std::nullopt;
  std::string name(end, text.data() + text.size());
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  for (const unit& each : units)
    if (each.name == name) return lag_limit{each.time, number * each.factor};
  return std::nullopt;
}

bool within(const lag_limit& limit, const replication::node_status& n) {
  return (limit.in_time ? n.lag_milliseconds : n.lag_bytes) <= limit.value;
}

std::string lag_text(const replication::node_status& n) {
  return "lag " + std::to_string(n.lag_milliseconds) + " ms, " + std::to_string(n.lag_records) +
         " records, " + std::to_string(n.lag_bytes) + " bytes";
}

verdict ready(const snapshot& s) {
  if (s.replication && s.node.draining) return {false, "this node is drained"};
  if (!serving(s)) return {false, "it takes no clients: " + s.sentence};
  return {true, s.sentence};
}

bool is_primary(const snapshot& s) {
  return !s.replication || s.node.role == role_state::master;
}

std::string role_text(const snapshot& s) {
  return "the role is " + std::string(role_of(s));
}

std::optional<verdict> judge_replica(std::string_view limit, const snapshot& s) {
  std::optional<lag_limit> most;
  if (!limit.empty()) {
    most = parse_limit(limit);
    if (!most) return std::nullopt;
  }
  verdict v = ready(s);
  if (!v.yes) return v;
  if (!s.replication || s.node.role != role_state::slave) return verdict{false, role_text(s)};
  if (most && !s.node.linked) return verdict{false, "the link to the master is down"};
  if (most && !within(*most, s.node)) return verdict{false, lag_text(s.node)};
  return v;
}

verdict judge_in_sync(const snapshot& s) {
  if (!s.replication) return {false, "replication is off"};
  if (!s.node.linked) return {false, "there is no link to the peer"};
  if (!s.node.peer_in_sync) return {false, "not everything is at the peer yet"};
  if (s.node.role != role_state::master && s.node.role != role_state::slave)
    return {false, role_text(s)};
  return {true, lag_text(s.node)};
}

verdict judge_lag(const lag_limit& limit, const snapshot& s) {
  if (!s.replication) return {false, "replication is off"};
  if (!s.node.linked) return {false, "there is no link to the peer"};
  const std::uint64_t lag = limit.in_time ? s.node.lag_milliseconds : s.node.lag_bytes;
  return {lag < limit.value, lag_text(s.node)};
}

}  // namespace

std::optional<verdict> judge(std::string_view question, std::string_view limit, const snapshot& s) {
  const auto is = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), question) != names.end();
  };
  if (is({"live", "liveness"})) return verdict{true, "the process answers"};
  if (is({"health"})) return verdict{serving(s), s.sentence};
  if (is({"ready", "readiness"})) return ready(s);
  if (is({"replica", "slave"})) return judge_replica(limit, s);
  if (is({"in-sync"})) return judge_in_sync(s);
  if (question.starts_with("lag<")) {
    const auto most = parse_limit(question.substr(4));
    if (!most) return std::nullopt;
    return judge_lag(*most, s);
  }
  const bool primary = is({"primary", "master", "leader", "read-write"});
  if (!primary && !is({"read-only"})) return std::nullopt;
  verdict v = ready(s);
  if (v.yes && primary && !is_primary(s)) v = {false, role_text(s)};
  return v;
}

std::string agent_line(const snapshot& s) {
  if (s.replication && s.node.draining) return "drain\n";
  if (serving(s)) return "up ready\n";
  return "down #" + s.sentence + "\n";
}

}  // namespace tandem::admin
