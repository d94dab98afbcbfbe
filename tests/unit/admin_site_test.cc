// What the HTTP port answers: paths, methods, tokens, verdicts by role, metrics and JSON.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <set>
#include <sstream>
#include <string>

#include "common/admin/health.h"
#include "common/admin/metrics.h"
#include "common/admin/site.h"
#include "common/admin/status_json.h"
#include "tests/unit/catch.h"

using namespace tandem;
using admin::snapshot;
using replication::role_state;

namespace {

snapshot node_as(role_state role, bool linked = true) {
  snapshot s;
  s.taken.wall = wall_time(std::chrono::seconds(1'800'000'000));
  s.replication = true;
  s.node.role = role;
  s.node.linked = linked;
  s.node.serving = role == role_state::master || role == role_state::slave;
  s.node.peer_in_sync = linked && s.node.serving;
  s.node.peer = "10.0.0.2:11212";
  s.process.accepting = s.node.serving;
  s.sentence = "as it is";
  s.memory_limit = 64 << 20;
  s.item_size_max = 1 << 20;
  return s;
}

constexpr std::string_view token = "0123456789abcdef";

class served {
 public:
  explicit served(snapshot now) : now_(std::move(now)) {
    site_ = {.look = [this]() -> const snapshot& { return now_; },
             .events = &events_,
             .page = "<!doctype html>"};
  }
  admin::site_answer ask(std::string_view method, std::string_view target,
                         std::string_view authorization = "", std::string_view known = token) {
    return admin::answer({method, target, authorization}, site_, known);
  }
  unsigned status(std::string_view target, std::string_view method = "GET") {
    const auto answer = ask(method, target);
    REQUIRE(answer.reply);
    return answer.reply->status;
  }
  admin::event_log& events() { return events_; }

 private:
  snapshot now_;
  admin::event_log events_;
  admin::site site_;
};

}  // namespace

TEST_CASE("health by role, by Patroni's names") {
  struct row {
    const char* path;
    unsigned master, slave, syncing, drained_slave, standalone;
  };
  const row rows[] = {
      {"/health", 200, 200, 503, 200, 200},     {"/liveness", 200, 200, 200, 200, 200},
      {"/readiness", 200, 200, 503, 503, 200},  {"/primary", 200, 503, 503, 503, 200},
      {"/read-write", 200, 503, 503, 503, 200}, {"/replica", 503, 200, 503, 503, 503},
      {"/read-only", 200, 200, 503, 503, 200},
  };
  served master(node_as(role_state::master));
  served slave(node_as(role_state::slave));
  served syncing(node_as(role_state::syncing));
  snapshot of_drained = node_as(role_state::slave);
  of_drained.node.draining = true;
  served drained(of_drained);
  snapshot alone = node_as(role_state::init);
  alone.replication = false;
  alone.process.accepting = true;
  served standalone(alone);
  for (const row& each : rows) {
    for (const char* const method : {"GET", "HEAD", "OPTIONS"}) {
      INFO(method << " " << each.path);
      REQUIRE(master.status(each.path, method) == each.master);
      REQUIRE(slave.status(each.path, method) == each.slave);
      REQUIRE(syncing.status(each.path, method) == each.syncing);
      REQUIRE(drained.status(each.path, method) == each.drained_slave);
      REQUIRE(standalone.status(each.path, method) == each.standalone);
    }
    REQUIRE(master.status(each.path, "POST") == 405);
  }
}

TEST_CASE("a replica may be asked for by its lag") {
  snapshot s = node_as(role_state::slave);
  s.node.lag_bytes = 2048;
  s.node.lag_milliseconds = 700;
  served slave(s);
  REQUIRE(slave.status("/replica?lag=2KiB") == 200);
  REQUIRE(slave.status("/replica?lag=1KiB") == 503);
  REQUIRE(slave.status("/replica?lag=1s") == 200);
  REQUIRE(slave.status("/replica?lag=500ms") == 503);
  REQUIRE(slave.status("/replica?lag=soon") == 400);
  REQUIRE(slave.status("/replica?lag=") == 200);
  REQUIRE(slave.status("/lag?below=2s") == 200);
  REQUIRE(slave.status("/lag?below=2KiB") == 503);
  for (const char* const wrong : {"/lag", "/lag?below=", "/lag?below=soon", "/lag?lag=2s"})
    REQUIRE(slave.status(wrong) == 400);
  s.node.linked = false;
  REQUIRE(served(s).status("/replica?lag=1h") == 503);
  REQUIRE(admin::judge("lag<800ms", "", node_as(role_state::master))->yes);
  REQUIRE_FALSE(admin::judge("lag<2s", "", s)->yes);
  REQUIRE_FALSE(admin::judge("lag<much", "", s));
  REQUIRE_FALSE(admin::judge("", "", s));
}

TEST_CASE("in sync is linked, filled and in a role that has the data") {
  REQUIRE(admin::judge("in-sync", "", node_as(role_state::master))->yes);
  REQUIRE_FALSE(admin::judge("in-sync", "", node_as(role_state::master, false))->yes);
  snapshot filling = node_as(role_state::master);
  filling.node.peer_in_sync = false;
  REQUIRE_FALSE(admin::judge("in-sync", "", filling)->yes);
}

TEST_CASE("the agent's line for HAProxy") {
  REQUIRE(admin::agent_line(node_as(role_state::slave)) == "up ready\n");
  REQUIRE(admin::agent_line(node_as(role_state::syncing)) == "down #as it is\n");
  snapshot s = node_as(role_state::master);
  s.node.draining = true;
  REQUIRE(admin::agent_line(s) == "drain\n");
}

TEST_CASE("commands need POST and the token") {
  served node(node_as(role_state::master));
  const std::string good = "Bearer " + std::string(token);
  REQUIRE(node.status("/switchover") == 405);
  REQUIRE(node.ask("POST", "/switchover").reply->status == 401);
  REQUIRE(node.ask("POST", "/switchover", "Bearer 0123456789abcdeX").reply->status == 401);
  REQUIRE(node.ask("POST", "/switchover", "Bearer ").reply->status == 401);
  REQUIRE(node.ask("POST", "/switchover", token).reply->status == 401);
  REQUIRE(node.ask("POST", "/switchover", good, "").reply->status == 403);
  REQUIRE(node.ask("POST", "/switchover", "Bearer ", "").reply->status == 403);
  const std::pair<const char*, const char*> commands[] = {{"/switchover", "switchover"},
                                                          {"/promote", "promote"},
                                                          {"/demote", "demote"},
                                                          {"/drain?force", "drain force"},
                                                          {"/undrain", "undrain"},
                                                          {"/sync", "audit repair"},
                                                          {"/audit", "audit"},
                                                          {"/audit?repair=1", "audit repair"},
                                                          {"/promote?force", "promote force"},
                                                          {"/alone?on", "alone on"},
                                                          {"/alone?off", "alone off"}};
  for (const auto& [path, command] : commands) {
    const auto answer = node.ask("POST", path, good);
    REQUIRE_FALSE(answer.reply);
    REQUIRE(answer.command == command);
  }
  REQUIRE(node.ask("POST", "/switchover?force", good).reply->status == 400);
  REQUIRE(node.ask("POST", "/audit?everything", good).reply->status == 400);
  REQUIRE(node.ask("POST", "/alone", good).reply->status == 400);
  REQUIRE(node.ask("POST", "/alone?force", good).reply->status == 400);
  REQUIRE(admin::command_reply(false, "there is no peer").status == 409);
  REQUIRE(admin::command_reply(true, "one\ntwo\n").body ==
          "{\"ok\":true,\"answer\":\"one\\ntwo\"}\n");
}

TEST_CASE("pages, and what is none") {
  served node(node_as(role_state::master));
  REQUIRE(node.ask("GET", "/").reply->body == "<!doctype html>");
  REQUIRE(node.status("/status") == 200);
  REQUIRE(node.status("/metrics?x=y") == 200);
  REQUIRE(node.status("/metrics", "DELETE") == 405);
  for (const char* const path : {"", "/x", "/../etc/passwd", "//", "/lag<2s", "status", "/status/"})
    REQUIRE(node.status(path) == 404);
  for (int i = 0; i < 3; ++i)
    node.events().add({}, replication::effect::level::info, "replication: start");
  const auto told = boost::json::parse(node.ask("GET", "/events?after=1").reply->body);
  REQUIRE(told.at("events").as_array().size() == 2);
  REQUIRE(told.at("events").as_array()[0].at("kind") == "sync");
  REQUIRE(node.status("/events?after=x") == 400);
}

TEST_CASE("the status is JSON whatever the names in it") {
  snapshot s = node_as(role_state::slave);
  s.node.peer = "a\"\n\\\x01";
  s.sentence = "quoted \" text";
  s.promotions = {{"the master is \"gone\"", 3}};
  const auto status = boost::json::parse(admin::status_json(s, {}));
  REQUIRE(status.at("role") == "slave");
  REQUIRE(status.at("peer_role") == "master");
  REQUIRE(status.at("replication").at("promotions_by_reason").at("the master is \"gone\"") == 3);
  REQUIRE_FALSE(status.at("advice").as_array().empty());
}

TEST_CASE("metrics: every sample belongs to the family above it, and no family comes twice") {
  snapshot s = node_as(role_state::master);
  s.promotions = {{"a \"b\" \\ \n", 1}};
  std::istringstream lines(admin::metrics_text(s));
  std::set<std::string> families, samples;
  std::string family, type;
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    if (line.starts_with("# HELP ")) continue;
    if (line.starts_with("# TYPE ")) {
      std::istringstream words(line.substr(7));
      words >> family >> type;
      REQUIRE(families.insert(family).second);
      continue;
    }
    REQUIRE(line.starts_with(family));
    const std::string series = line.substr(0, line.rfind(' '));
    REQUIRE(samples.insert(series).second);
    const std::string rest = series.substr(family.size(), series.find('{') - family.size());
    REQUIRE((rest.empty() ||
             (type == "histogram" && (rest == "_bucket" || rest == "_sum" || rest == "_count"))));
    if (type == "counter") REQUIRE(family.ends_with("_total"));
  }
  REQUIRE(samples.count("memtandem_failovers_total{reason=\"a \\\"b\\\" \\\\ \\n\"}") == 1);
  REQUIRE(samples.count("memtandem_role{role=\"master\"}") == 1);
}
