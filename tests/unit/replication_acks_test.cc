// What a node without a peer makes of replication.ack, and what an operator can say about it. How
// acknowledgements release replies is in service_acks_test.cc, and a pair in test_ack.py.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/replication/node.h"
#include "common/service/store.h"
#include "tests/unit/catch.h"

using namespace tandem;
using namespace tandem::replication;
using std::chrono::milliseconds;

namespace {

struct lonely_node {
  explicit lonely_node(ack_mode mode) {
    node_options options;
    options.run_id = 7;
    options.ack = mode;
    options.ack_timeout = milliseconds(500);
    core = std::make_unique<node>(options, data, 1);
    step(event::started{});
  }
  void step(const any_event& e) {
    for (const any_effect& each : core->step(e, now)) {
      if (const auto* replies = std::get_if<effect::replies>(&each)) rule = replies->rule;
      if (const auto* answer = std::get_if<effect::answer>(&each)) answered = answer->ok;
    }
  }
  void pass(milliseconds time) {
    now.wall += time;
    now.steady += time;
    step(event::tick{});
  }
  void say(const std::string& text) { step(event::command{++commands, text}); }

  service::store data{service::store_options{}};
  std::unique_ptr<node> core;
  instant now{wall_time(std::chrono::seconds(1'800'000'000)), steady_time(std::chrono::seconds(1))};
  std::optional<reply_rule> rule;
  std::optional<bool> answered;
  std::uint64_t commands = 0;
};

}  // namespace

TEST_CASE("without a peer replies of async and semisync do not wait") {
  lonely_node async(ack_mode::async);
  REQUIRE_FALSE(async.rule.has_value());
  REQUIRE(async.core->status(async.now).replies == reply_rule::at_once);
  lonely_node semisync(ack_mode::semisync);
  REQUIRE(semisync.rule == reply_rule::at_once);
  REQUIRE(semisync.core->status(semisync.now).ack_degradations == 0);
  semisync.step(event::ack_late{});
  REQUIRE(semisync.core->status(semisync.now).ack_degradations == 0);
}

TEST_CASE("without a peer sync refuses after the time-out, until it is told to go on alone") {
  lonely_node n(ack_mode::sync);
  REQUIRE_FALSE(n.rule.has_value());  // when_confirmed, as it is before anything is said
  REQUIRE(n.core->deadline() <= n.now.steady + milliseconds(500));
  n.pass(milliseconds(499));
  REQUIRE_FALSE(n.rule.has_value());
  n.pass(milliseconds(1));
  REQUIRE(n.rule == reply_rule::refuse);
  n.step(event::ack_late{});
  REQUIRE(n.rule == reply_rule::refuse);

  n.say("alone on");
  REQUIRE(n.answered == true);
  REQUIRE(n.rule == reply_rule::at_once);
  REQUIRE(n.core->status(n.now).alone);
  n.pass(milliseconds(5000));
  REQUIRE(n.rule == reply_rule::at_once);
  n.say("alone off");
  REQUIRE(n.rule == reply_rule::refuse);
  n.say("alone perhaps");
  REQUIRE(n.answered == false);
}
