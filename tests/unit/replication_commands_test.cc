// Operators' commands as the core takes them: every id gets one answer.
#include <string>
#include <variant>
#include <vector>

#include "common/replication/node.h"
#include "common/replication/status_rows.h"
#include "common/service/store.h"
#include "tests/unit/catch.h"

using namespace tandem;
using namespace tandem::replication;

namespace {

instant after(std::int64_t milliseconds) {
  return {wall_time(std::chrono::seconds(1'800'000'000) + std::chrono::milliseconds(milliseconds)),
          steady_time(std::chrono::milliseconds(milliseconds))};
}

node_options options() {
  node_options o;
  o.run_id = 1;
  return o;
}

struct alone {
  service::store data{service::store_options{.memory_bytes = std::size_t{16} << 20}};
  node core{options(), data, 1};

  alone() { core.step(event::started{}, after(0)); }

  std::vector<effect::answer> command(std::uint64_t id, const std::string& text) {
    std::vector<effect::answer> answers;
    for (const any_effect& e : core.step(event::command{id, text}, after(1)))
      if (const auto* a = std::get_if<effect::answer>(&e)) answers.push_back(*a);
    return answers;
  }
};

}  // namespace

TEST_CASE("status answers with the rows of the status") {
  alone n;
  const auto answers = n.command(7, "  status\t");
  REQUIRE(answers.size() == 1);
  REQUIRE(answers[0].id == 7);
  REQUIRE(answers[0].ok);
  std::string expected;
  for (const auto& [name, value] : status_rows(n.core.status(after(1))))
    expected += name + " " + value + "\n";
  REQUIRE(answers[0].text == expected);
  REQUIRE(expected.starts_with("role MASTER\n"));
}

TEST_CASE("the rows of a status are words") {
  node_status s;
  s.peer = "a host:11212";
  s.last_disconnect = "closed\nby the peer";
  for (const auto& [name, value] : status_rows(s)) {
    REQUIRE_FALSE(name.empty());
    REQUIRE_FALSE(value.empty());
    REQUIRE((name + value).find_first_of(" \t\r\n") == std::string::npos);
  }
}

TEST_CASE("help knows every verb, and what is no command is told so") {
  alone n;
  const auto help = n.command(1, "help");
  REQUIRE(help.size() == 1);
  REQUIRE(help[0].ok);
  for (const char* verb : {"help", "status", "switchover", "promote", "demote", "drain", "undrain"})
    REQUIRE(("\n" + help[0].text).find("\n" + std::string(verb)) != std::string::npos);
  std::uint64_t id = 1;
  for (const std::string& text :
       std::vector<std::string>{"", "  \t", "Status", "statu", "status now", "help me",
                                "promote maybe", "promote [force]", "drain force force",
                                "status a b c d e f g h i j k l m n o p q r s t", "\x01\xff"}) {
    const auto answers = n.command(++id, text);
    INFO(text);
    REQUIRE(answers.size() == 1);
    REQUIRE(answers[0].id == id);
    REQUIRE_FALSE(answers[0].ok);
    REQUIRE(answers[0].text.find('\n') == std::string::npos);
  }
}

TEST_CASE("a hook that ends after an operator has decided changes nothing") {
  service::store data{service::store_options{.memory_bytes = std::size_t{16} << 20}};
  node_options o = options();
  o.peer = "peer:11212";
  o.hooks.pre_promote = true;
  node core(o, data, 1);
  core.step(event::started{}, after(0));
  core.step(event::tick{}, after(3000));
  REQUIRE(core.status(after(3000)).changing == "pre_promote");
  std::vector<effect::answer> answers;
  for (const char* text : {"promote", "promote force"})
    for (const any_effect& e : core.step(event::command{answers.size(), text}, after(3001)))
      if (const auto* a = std::get_if<effect::answer>(&e)) answers.push_back(*a);
  REQUIRE(answers.size() == 2);
  REQUIRE_FALSE(answers[0].ok);
  REQUIRE(answers[0].text.find("promote force") != std::string::npos);
  REQUIRE(answers[1].ok);
  const std::uint64_t term = core.status(after(3002)).term;
  core.step(event::hook_done{1, false, "exit status 1"}, after(3003));
  core.step(event::hook_done{1, true, ""}, after(3004));
  REQUIRE(core.status(after(3005)).role == role_state::master);
  REQUIRE(core.status(after(3005)).term == term);
  REQUIRE(core.status(after(3005)).changing.empty());
}
