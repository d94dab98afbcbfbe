// A node that has no data for now: the guest of a master, and nobody's peer.
#include <string>
#include <vector>

#include "tests/unit/catch.h"
#include "tests/unit/node_pair.h"

using namespace tandem;
using namespace tandem::testing;
using std::chrono::milliseconds;

namespace {

constexpr effect::routes to_the_peer{write_place::peer, true};

// The second node dials the first, and may be started as a guest.
struct visit : pair_of_nodes {
  visit() {
    configure = [this](int i, service::store_options&, node_options& o) {
      o.ack = ack;
      o.guest = guests[i];
      o.while_syncing = through ? syncing_mode::read_through : syncing_mode::refuse;
      o.hooks.post_demote = true;
      if (i == 1) o.reigned = reigned;
    };
  }
  void begin() {
    start(0, false, 0);
    pass(milliseconds(50));
    guests[1] = true;
    start(1, true, 1);
    pass(milliseconds(50));
    take_log(0);
  }
  // Of a client of the guest.
  void ask(std::uint64_t id, const std::string& request) { step(1, event::forward{id, request}); }
  // Of what it asked last.
  forward_outcome outcome() const { return sides[1].forwarded.back().outcome; }
  void execute(std::vector<mutation_mark> marks) {
    const effect::execute what = sides[0].executed.back();
    step(0, event::executed{what.session, what.id, "answer to " + what.bytes, std::move(marks)});
  }

  bool guests[2] = {false, false};
  bool through = true;
  ack_mode ack = ack_mode::async;
  std::optional<std::uint64_t> reigned;
};

}  // namespace

TEST_CASE("a master executes its guest's commands, and is as alone as without it") {
  visit v;
  v.begin();
  REQUIRE(v.status(1).guest);
  REQUIRE(v.status(1).visit);
  REQUIRE(v.sides[1].routes == to_the_peer);
  REQUIRE(v.sides[1].serving);
  REQUIRE(v.role(1) == role_state::init);
  REQUIRE(v.role(0) == role_state::master);
  REQUIRE(v.term(0) == 1);
  REQUIRE_FALSE(v.status(0).linked);
  v.ask(1, "get k\r\n");
  REQUIRE(v.sides[0].executed.back().bytes == "get k\r\n");
  v.execute({});
  REQUIRE(v.outcome() == forward_outcome::answered);
  REQUIRE(v.sides[1].forwarded.back().bytes == "answer to get k\r\n");
  v.ask(2, "set k\r\n");
  v.execute({{0, 1}});
  REQUIRE(v.outcome() == forward_outcome::answered);
  // Nothing of the data goes there.
  v.put(0, "k", "v");
  v.pass(milliseconds(500));
  REQUIRE(v.get(1, "k") == "(miss)");
  REQUIRE(v.status(0).records_sent == 0);
}

TEST_CASE("a guest whose master is gone refuses at once, and takes nothing over") {
  visit v;
  v.begin();
  v.ask(1, "get k\r\n");
  v.kill(0);
  REQUIRE(v.outcome() == forward_outcome::failed);  // it was on its way
  REQUIRE(v.sides[1].routes == effect::routes{});
  v.ask(2, "get k\r\n");
  REQUIRE(v.outcome() == forward_outcome::failed);
  v.pass(milliseconds(60'000));
  REQUIRE(v.role(1) == role_state::init);
  v.step(1, event::command{1, "promote force"});
  REQUIRE_FALSE(v.sides[1].answers.back().ok);
  // Who is there again is found.
  v.start(0, false, 0);
  v.pass(milliseconds(1500));
  REQUIRE(v.status(1).visit);
  v.reset();
  REQUIRE_FALSE(v.status(1).visit);
  v.pass(milliseconds(1500));
  REQUIRE(v.status(1).visit);
}

TEST_CASE("a guest that has data again is a newcomer like any other") {
  visit v;
  v.begin();
  v.put(0, "k", "v");
  v.kill(1);
  REQUIRE_FALSE(v.status(0).visit);
  v.guests[1] = false;
  v.start(1, true, 1);
  v.pass(milliseconds(200));
  REQUIRE(v.role(1) == role_state::slave);
  REQUIRE(v.get(1, "k") == "v");
  REQUIRE(v.sides[1].routes == effect::routes{});
}

TEST_CASE("guests go to masters only, and only if they are to read through") {
  SECTION("two guests") {
    visit v;
    v.guests[0] = true;
    v.begin();
    REQUIRE_FALSE(v.status(0).visit);
    REQUIRE_FALSE(v.status(1).visit);
  }
  SECTION("not through") {
    visit v;
    v.through = false;
    v.begin();
    v.pass(milliseconds(2000));
    REQUIRE_FALSE(v.status(1).visit);
    REQUIRE(v.sides[1].routes == effect::routes{});
  }
  SECTION("a master that hands its reign on would be the guest's no more") {
    visit v;
    v.begin();
    v.step(0, event::command{1, "demote"});
    REQUIRE_FALSE(v.sides[0].answers.empty());
    REQUIRE_FALSE(v.sides[0].answers.back().ok);
    REQUIRE(v.status(0).visit);
  }
}

TEST_CASE("hooks hear that a guest was master, once") {
  visit v;
  v.begin();
  REQUIRE(v.sides[1].hooks.empty());
  v.reigned = 7;
  v.start(1, true, 1);
  v.pass(milliseconds(500));
  REQUIRE(v.sides[1].hooks.size() == 1);
  REQUIRE(v.sides[1].hooks.back().which == hook::post_demote);
  const auto& said = v.sides[1].hooks.back().variables;
  REQUIRE(std::find(said.begin(), said.end(), std::pair<std::string, std::string>("TERM", "7")) !=
          said.end());
}

TEST_CASE("with sync nothing that only the master has is acknowledged to a guest") {
  visit v;
  v.ack = ack_mode::sync;
  v.begin();
  v.ask(1, "get k\r\n");
  v.execute({});
  REQUIRE(v.outcome() == forward_outcome::answered);
  v.ask(2, "set k\r\n");
  v.execute({{0, 1}});
  REQUIRE(v.outcome() == forward_outcome::failed);
  v.step(0, event::command{1, "alone on"});
  v.ask(3, "set k\r\n");
  v.execute({{0, 1}});
  REQUIRE(v.outcome() == forward_outcome::answered);
}
