// The record of events: its kinds, reasons, bounds and the count of promotions.
#include <chrono>
#include <string>

#include "common/admin/event_log.h"
#include "tests/unit/catch.h"

using namespace tandem;
using admin::event_kind;
using admin::event_log;
using level = replication::effect::level;

namespace {

wall_time at(int second) {
  return wall_time(std::chrono::seconds(second));
}

}  // namespace

TEST_CASE("the core's words tell an event's kind and reason") {
  struct row {
    level severity;
    const char* text;
    event_kind kind;
    const char* reason;
  };
  const row rows[] = {
      {level::info, "replication: role SLAVE -> MASTER, term 2 (the master is gone)",
       event_kind::role, "the master is gone"},
      {level::info, "replication: listen (term 2)", event_kind::role, ""},
      {level::warning, "replication: the switchover is off: no peer", event_kind::role, ""},
      {level::info, "replication: marugoto copying", event_kind::sync, ""},
      {level::info, "replication: connect (peer=10.0.0.2:11212)", event_kind::link, ""},
      {level::info, "replication: close (closed by the peer)", event_kind::link,
       "closed by the peer"},
      {level::warning, "replication: two masters have met, of term 1 here and 2 there",
       event_kind::conflict, ""},
      {level::warning, "the clocks differ", event_kind::error, ""},
      {level::info, "the log is open again", event_kind::other, ""},
  };
  for (const row& each : rows) {
    INFO(each.text);
    REQUIRE(admin::kind_of(each.severity, each.text) == each.kind);
    REQUIRE(admin::reason_of(each.text) == each.reason);
  }
}

TEST_CASE("the last events are kept, numbered without gaps") {
  event_log log;
  const int more = static_cast<int>(event_log::events_max) + 50;
  for (int i = 1; i <= more; ++i) log.add(at(i), level::info, "event " + std::to_string(i));
  const auto all = log.since(0);
  REQUIRE(all.size() == event_log::events_max);
  REQUIRE(all.front().number == 51);
  REQUIRE(all.back().number == static_cast<std::uint64_t>(more));
  REQUIRE(all.back().at == at(more));
  REQUIRE(log.since(static_cast<std::uint64_t>(more) - 3).size() == 3);
  REQUIRE(log.since(0, 2).front().number == static_cast<std::uint64_t>(more) - 1);
  REQUIRE(log.since(1000).empty());
}

TEST_CASE("debug lines are no events, and a stranger's bytes do no harm") {
  event_log log;
  log.add(at(1), level::debug, "replication: role");
  REQUIRE(log.since(0).empty());
  log.add(at(1), level::info, "close (\n\x1b[2J)" + std::string(1000, 'x'));
  const auto all = log.since(0);
  REQUIRE(all.at(0).text.size() == event_log::text_bytes_max);
  REQUIRE(all.at(0).text.starts_with("close (??[2J)"));
}

TEST_CASE("promotions are counted by reason, in a bounded table") {
  event_log log;
  const auto become = [&](const std::string& from, const std::string& reason) {
    log.add(at(1), level::info,
            "replication: role " + from + " -> MASTER, term 2 (" + reason + ")");
  };
  become("SLAVE", "the master is gone");
  become("SLAVE", "the master is gone");
  become("MASTER", "a higher term");  // no promotion
  log.add(at(1), level::info, "replication: role MASTER -> SLAVE, term 3 (switchover)");
  REQUIRE(log.promotions() ==
          std::vector<std::pair<std::string, std::uint64_t>>{{"the master is gone", 2}});
  for (int i = 0; i < 100; ++i) become("SLAVE", "reason " + std::to_string(i));
  const auto all = log.promotions();
  REQUIRE(all.size() == event_log::reasons_max);
  REQUIRE(all.back().first == "other");
  std::uint64_t sum = 0;
  for (const auto& [reason, count] : all) sum += count;
  REQUIRE(sum == 102);
}
