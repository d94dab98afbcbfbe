// With `writes: master` a switchover holds what clients change until it is known who decides: the
// master's side of it, its peer and its clients played by hand.
#include <string>
#include <vector>

#include "common/base/endian.h"
#include "tests/unit/catch.h"
#include "tests/unit/replication_transcript.h"

using namespace tandem;
using namespace tandem::replication;
using lines = std::vector<std::string>;
using transcript::play;

namespace {

constexpr milliseconds short_while{20};
const std::string change = "incr n 1\r\n", their_change = "decr n 1\r\n";

struct reign : play {
  static node_options options(writes_mode writes) {
    node_options o = transcript::actor(false);
    o.writes = writes;
    return o;
  }
  explicit reign(writes_mode writes = writes_mode::master) : play(options(writes)) {
    step(event::started{});
    pass(milliseconds(3100), false);
    meet({false, false, false, 0, 0, 200});
    say_in_sync();
    pass(short_while, true);
    take();
  }
  // A client of this node, and of the peer, wants something changed.
  void ask_here(std::uint64_t id) { step(event::forward{id, change}); }
  void ask_there(std::uint64_t id) {
    std::string payload(sizeof id, '\0');
    store_le(payload.data(), id);
    say(frame_type::forward, payload + '\1' + their_change);
  }
  void answer_forward(std::uint64_t id, char what) {
    std::string payload(sizeof id, '\0');
    store_le(payload.data(), id);
    say(frame_type::forwarded, payload + what + "7\r\n");
  }
  void store(const std::string& key) {
    const service::hashed_key k(key);
    data().lock(k, now()).put(k, 0, 0, "v");
    step(event::mutated{});
  }
  // The mastership is to change hands, and the peer would take it.
  void offer() {
    command("switchover");
    take();
    say(frame_type::handover_answer, handover_step::ready, 2);
  }
};

const std::string info = "logs \"replication: ";

}  // namespace

TEST_CASE("what clients change is held behind the fence and goes out behind the reign") {
  reign p;
  p.ask_there(1);
  REQUIRE(p.take() == lines{"executes " + their_change});
  p.offer();
  REQUIRE(p.take() == lines{"executes changes at the master", "asks for a fence, 2"});
  p.ask_here(1);
  p.ask_there(2);
  p.pass(short_while, true);
  REQUIRE(p.take().empty());
  p.step(event::fenced{1});  // of another time
  REQUIRE(p.take().empty());
  p.step(event::fenced{2});
  REQUIRE(p.take() == lines{info + "role MASTER -> SLAVE, term 1 (handing over)\"", "says take 2",
                            "sends on " + change, "declines"});
  p.ask_here(2);
  REQUIRE(p.take() == lines{"sends on " + change});
  p.say(frame_type::handover_answer, handover_step::taken, 2);
  REQUIRE(p.take() == lines{info + "role SLAVE -> SLAVE, term 2 (switchover)\"", "answers OK"});
  p.answer_forward(1, 1);
  REQUIRE(p.take() == lines{"answered 1"});
}

TEST_CASE("the reign is given when what was executed last is acknowledged") {
  reign p;
  p.set_acknowledging(false);
  p.store("early");
  p.offer();
  p.pass(short_while, true);
  REQUIRE(p.take().empty());  // the peer lags: clients need not wait for that
  p.ask_there(1);
  REQUIRE(p.take() == lines{"executes " + their_change});
  p.set_acknowledging(true);
  REQUIRE(p.take() == lines{"executes changes at the master", "asks for a fence, 2"});
  p.set_acknowledging(false);
  p.store("in between");
  p.step(event::fenced{2});
  p.pass(short_while, true);
  REQUIRE(p.take().empty());
  p.set_acknowledging(true);
  REQUIRE(p.take().back() == "says take 2");
}

TEST_CASE("a switchover that holds clients for too long is off, and they go on here") {
  reign p;
  const bool fenced = GENERATE(false, true);
  p.offer();
  p.set_acknowledging(false);
  p.store("late");
  if (fenced) p.step(event::fenced{2});
  p.ask_here(1);
  p.ask_there(2);
  p.take();
  p.pass(milliseconds(480), true);
  REQUIRE(p.take().empty());
  p.pass(milliseconds(40), true);
  REQUIRE(p.take() == lines{info + "the switchover is off: it took too long\"",
                            "answers ERROR it took too long", "executes changes here",
                            "given back 1", "executes " + their_change,
                            "says cancel 2 \"it took too long\""});
  p.step(event::fenced{2});
  p.ask_here(3);
  REQUIRE(p.take() == lines{"given back 3"});
}

TEST_CASE("what was held is given back when the link breaks or the peer refuses the reign") {
  reign p;
  p.offer();
  p.ask_here(1);
  SECTION("broken before it is given") {
    p.take();
    p.break_link();
    const lines got = p.take();
    REQUIRE(got[got.size() - 2] == "executes changes here");
    REQUIRE(got.back() == "given back 1");
  }
  SECTION("refused") {
    p.step(event::fenced{2});
    p.take();
    p.say(frame_type::handover_answer, handover_step::refused, 2, "no");
    REQUIRE(p.take().back() == "executes changes here");
    p.answer_forward(1, 2);
    REQUIRE(p.take() == lines{"given back 1"});
  }
  SECTION("broken after it was given: nobody knows whether it was executed") {
    p.step(event::fenced{2});
    p.take();
    p.break_link();
    const lines got = p.take();
    REQUIRE(std::find(got.begin(), got.end(), "failed 1") != got.end());
  }
}

TEST_CASE("with writes at both nodes nothing is held") {
  reign p(writes_mode::both);
  p.offer();
  REQUIRE(p.take() == lines{info + "role MASTER -> SLAVE, term 1 (handing over)\"", "says take 2"});
}
