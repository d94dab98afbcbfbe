// Transcripts of the step function: what a node does and says when it meets, follows and loses its
// peer. Two nodes are wired back to back; time is a number.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/replication/frame.h"
#include "common/replication/hello.h"
#include "tests/unit/catch.h"
#include "tests/unit/node_pair.h"

using namespace tandem;
using namespace tandem::testing;

namespace {

using lines = std::vector<std::string>;
using std::chrono::milliseconds;

}  // namespace

TEST_CASE(
    "the walk-through: listen, connect, copy, start; the slave takes over; the old master is "
    "filled") {
  pair_of_nodes p;
  p.start(0, false, 0);
  REQUIRE(p.take_log(0) == lines{"replication: role INIT -> MASTER, term 1 (no peer configured)",
                                 "replication: listen (term 1)"});
  REQUIRE(p.sides[0].serving);
  p.put(0, "key", "sunsky");

  p.start(1, true, 1);
  REQUIRE_FALSE(p.sides[1].serving);
  p.pass(milliseconds(50));
  REQUIRE(p.take_log(0) == lines{"replication: accept (peer=10.0.0.9:40000)"});
  REQUIRE(p.take_log(1) == lines{"replication: connect (peer=peer:11212)",
                                 "replication: role INIT -> SYNCING, term 1 (the peer leads)",
                                 "replication: marugoto copying",
                                 "replication: role SYNCING -> SLAVE, term 1 (in sync)",
                                 "replication: start"});
  REQUIRE(p.sides[1].serving);
  REQUIRE(p.get(1, "key") == "sunsky");

  // Both take writes.
  p.put(1, "from slave", "x");
  p.put(0, "from master", "y");
  p.pass(milliseconds(50));
  REQUIRE(p.get(0, "from slave") == "x");
  REQUIRE(p.get(1, "from master") == "y");

  p.kill(0);
  p.pass(milliseconds(100));
  REQUIRE(p.take_log(1) == lines{"replication: close (closed by the peer)",
                                 "replication: cleanup start", "replication: cleanup complete",
                                 "replication: can't connect to peer:11212: refused; trying on",
                                 "replication: role SLAVE -> MASTER, term 2 (the master is gone)",
                                 "replication: listen (term 2)"});
  p.put(1, "meanwhile", "z");

  p.start(0, true, 0);
  p.pass(milliseconds(1500));
  REQUIRE(p.role(0) == role_state::slave);
  REQUIRE(p.role(1) == role_state::master);
  REQUIRE(p.term(0) == 2);
  REQUIRE(p.get(0, "meanwhile") == "z");
  REQUIRE(p.get(0, "key") == "sunsky");
}

TEST_CASE("an old master started again without a peer steps back and is filled") {
  pair_of_nodes p;
  p.start(0, false, 0);
  p.start(1, true, 1);
  p.pass(milliseconds(100));
  p.put(1, "k", "v");
  p.pass(milliseconds(100));
  p.kill(0);
  p.start(0, false, 0);
  REQUIRE(p.role(0) == role_state::master);  // alone and empty, until the survivor calls
  REQUIRE(p.term(0) == 1);
  p.pass(milliseconds(2000));
  REQUIRE(p.role(0) == role_state::slave);
  REQUIRE(p.role(1) == role_state::master);
  REQUIRE(p.get(0, "k") == "v");
  REQUIRE(p.get(1, "k") == "v");
}

TEST_CASE("a silent peer is noticed after the dead time, and the pair heals by itself") {
  pair_of_nodes p;
  p.start(0, false, 0);
  p.start(1, true, 1);
  p.pass(milliseconds(500));
  p.take_log(1);
  p.cut = true;
  p.pass(milliseconds(900));
  REQUIRE(p.role(1) == role_state::slave);
  p.pass(milliseconds(300));
  REQUIRE(p.role(1) == role_state::master);
  REQUIRE(p.take_log(1).front() == "replication: close (silent for the dead time)");
  p.put(0, "a", "1");
  p.put(1, "b", "2");
  p.cut = false;
  p.pass(milliseconds(2500));
  // The later reign goes on; both halves are on both nodes, without a second full copy.
  REQUIRE(p.role(1) == role_state::master);
  REQUIRE(p.role(0) == role_state::slave);
  for (int i = 0; i < 2; ++i) {
    REQUIRE(p.get(i, "a") == "1");
    REQUIRE(p.get(i, "b") == "2");
    REQUIRE(p.sides[i].core->status(p.now()).resumes_sent == 1);
    REQUIRE(p.sides[i].core->status(p.now()).full_syncs_sent == 1);
  }
}

TEST_CASE("a slave whose link is closed stays a slave if its master still answers") {
  pair_of_nodes p;
  p.start(0, false, 0);
  p.start(1, true, 1);
  p.pass(milliseconds(500));
  const auto wire = p.sides[1].wire;
  p.sides[0].wire.clear();
  p.sides[1].wire.clear();
  for (const auto& [ours, theirs] : wire) {
    p.step(0, event::closed{theirs, "reset"});
    p.step(1, event::closed{ours, "reset"});
  }
  REQUIRE(p.sides[1].serving);
  p.pass(milliseconds(200));
  REQUIRE(p.role(0) == role_state::master);
  REQUIRE(p.role(1) == role_state::slave);
  REQUIRE(p.term(1) == 1);
  REQUIRE(p.sides[1].core->status(p.now()).resumes_sent == 1);
}

TEST_CASE("a slave that was itself stopped for long does not depose its master") {
  pair_of_nodes p;
  p.start(0, false, 0);
  p.start(1, true, 1);
  p.pass(milliseconds(500));
  // The master gives it up after the dead time; the slave notices only when it runs again.
  const auto wire = p.sides[1].wire;
  p.cut = true;
  auto stopped = std::move(p.sides[1].core);
  p.pass(milliseconds(3000));
  REQUIRE(p.role(0) == role_state::master);
  p.cut = false;
  p.sides[1].core = std::move(stopped);
  p.step(1, event::tick{});
  REQUIRE(p.role(1) == role_state::slave);
  for (const auto& [ours, theirs] : wire) p.step(1, event::closed{ours, "closed by the peer"});
  p.pass(milliseconds(300));
  REQUIRE(p.role(0) == role_state::master);
  REQUIRE(p.role(1) == role_state::slave);
  REQUIRE(p.term(0) == 1);
}

TEST_CASE("two that name each other and start at once become one pair") {
  pair_of_nodes p;
  p.start(0, true, 0);
  p.start(1, true, 1);
  p.pass(milliseconds(3000));
  REQUIRE((p.role(0) == role_state::master) != (p.role(1) == role_state::master));
  REQUIRE(p.sides[0].serving);
  REQUIRE(p.sides[1].serving);
  REQUIRE(p.sides[0].wire.size() == 1);
  p.put(0, "k", "v");
  p.pass(milliseconds(50));
  REQUIRE(p.get(1, "k") == "v");
}

TEST_CASE("a node whose peer is not there serves alone after the join timeout") {
  pair_of_nodes p;
  p.start(1, true, 1);
  p.pass(milliseconds(2900));
  REQUIRE_FALSE(p.sides[1].serving);
  p.pass(milliseconds(300));
  REQUIRE(p.sides[1].serving);
  REQUIRE(p.role(1) == role_state::master);
}

TEST_CASE("a newcomer that heard a slave, and no more, does not reign in the slave's next term") {
  pair_of_nodes p;
  p.start(1, true, 1);
  const session_id call = 1000;
  hello slave;
  slave.stands = {.complete = true, .has_data = true, .term = 1, .node_id = 3, .run_id = 77};
  slave.reign = 5;  // it has agreed to others meanwhile
  slave.clock = p.now().wall;
  slave.cluster = node_options{}.cluster;
  std::string said;
  append_frame(said, frame_type::hello, 0, encode(slave));
  p.step(1, event::accepted{call, "10.0.0.3:1"});
  p.step(1, event::received{call, said});
  p.step(1, event::closed{call, "things changed during the handshake"});
  p.pass(milliseconds(3200));
  REQUIRE(p.role(1) == role_state::master);
  REQUIRE(p.sides[1].core->status(p.now()).term == 6);
}

TEST_CASE("an empty node that names a full one is filled, and the other way round") {
  for (const bool full_one_dials : {false, true}) {
    pair_of_nodes p;
    p.start(0, full_one_dials, 0);
    p.pass(milliseconds(3200));
    for (int i = 0; i < 300; ++i) p.put(0, "key" + std::to_string(i), std::string(1000, 'v'));
    p.start(1, !full_one_dials, 1);
    p.pass(milliseconds(3500));
    REQUIRE(p.role(0) == role_state::master);
    REQUIRE(p.role(1) == role_state::slave);
    REQUIRE(p.sides[0].data->digest(p.now()).items == 300);
    REQUIRE(p.sides[1].data->digest(p.now()).digest == p.sides[0].data->digest(p.now()).digest);
  }
}

TEST_CASE("values of every size fill a newcomer, those just short of large ones too") {
  pair_of_nodes p;
  p.start(0, false, 0);
  for (int i = 0; i < 600; ++i)
    p.put(0, "key" + std::to_string(i), std::string(engine::large_value_min - 1, 'v'));
  for (int i = 0; i < 20; ++i) p.put(0, "large" + std::to_string(i), std::string(100'000, 'v'));
  p.start(1, true, 1);
  p.pass(milliseconds(3500));
  REQUIRE(p.role(1) == role_state::slave);
  REQUIRE(p.sides[0].data->digest(p.now()).items == 620);
  REQUIRE(p.sides[1].data->digest(p.now()).digest == p.sides[0].data->digest(p.now()).digest);
}

TEST_CASE("the lag is what the peer has not acknowledged") {
  pair_of_nodes p;
  p.start(0, false, 0);
  p.start(1, true, 1);
  p.pass(milliseconds(500));
  REQUIRE(p.sides[0].core->status(p.now()).peer_in_sync);
  REQUIRE(p.sides[0].core->status(p.now()).lag_records == 0);
  p.cut = true;
  for (int i = 0; i < 5; ++i) p.put(0, "key" + std::to_string(i), "v");
  p.pass(milliseconds(200));
  const node_status s = p.sides[0].core->status(p.now());
  REQUIRE(s.lag_records == 5);
  REQUIRE(s.lag_milliseconds >= 190);
  REQUIRE(s.lag_milliseconds <= 210);
}

TEST_CASE("nonsense on the link is refused with a reason and disturbs nobody") {
  pair_of_nodes p;
  p.start(0, false, 0);
  p.start(1, true, 1);
  p.pass(milliseconds(100));
  p.take_log(0);
  const session_id intruder = 1000;
  p.step(0, event::accepted{intruder, "10.0.0.66:1"});
  std::string sent;
  for (const any_effect& e : p.sides[0].core->step(
           event::received{intruder, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"}, p.now()))
    if (const auto* send = std::get_if<effect::send>(&e))
      sent += send->bytes;
    else
      p.obey(0, e);
  REQUIRE(sent.find("frame too long") != std::string::npos);
  REQUIRE(p.take_log(0) ==
          lines{"replication: refusing the connection from 10.0.0.66:1: frame too long"});
  p.put(0, "k", "v");
  p.pass(milliseconds(50));
  REQUIRE(p.get(1, "k") == "v");
}

TEST_CASE("a mute connection is closed after the dead time, and their number is bounded") {
  pair_of_nodes p;
  p.start(0, false, 0);
  std::size_t closed = 0;
  for (session_id id = 1000; id < 1100; id += 2)
    for (const any_effect& e : p.sides[0].core->step(event::accepted{id, "10.0.0.66:1"}, p.now()))
      closed += std::holds_alternative<effect::close>(e);
  REQUIRE(closed == 50 - 16);
  p.micros += 1'100'000;
  for (const any_effect& e : p.sides[0].core->step(event::tick{}, p.now()))
    closed += std::holds_alternative<effect::close>(e);
  REQUIRE(closed == 50);
}
