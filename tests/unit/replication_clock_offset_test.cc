// Clocks that differ: measured on the link, warned of, refused when too far apart; what is written
// under them converges all the same.
#include <chrono>
#include <string>

#include "common/replication/clock_offset.h"
#include "tests/unit/catch.h"
#include "tests/unit/node_pair.h"

using namespace tandem;
using namespace tandem::testing;
using std::chrono::microseconds;

namespace {

constexpr std::int64_t second = 1'000'000;

void meet(pair_of_nodes& p) {
  p.start(0, false, 0);
  p.start(1, true, 1);
  p.pass(milliseconds(1000));
  REQUIRE(p.role(1) == role_state::slave);
}

instant at(std::int64_t micros) {
  return {wall_time(microseconds(1'000'000'000 + micros)), steady_time(microseconds(micros))};
}

}  // namespace

TEST_CASE("the offset is that of the quickest of the last round trips") {
  clock_offset c;
  REQUIRE_FALSE(c.offset());
  // Theirs is 5 s ahead; the pong of a trip of 10 ms that took it all on the way back.
  c.learn(at(0).steady, at(0).wall + microseconds(5 * second), at(10'000));
  REQUIRE(c.offset() == microseconds(5 * second - 5000));
  c.learn(at(100'000).steady, at(100'100).wall + microseconds(5 * second), at(100'200));
  REQUIRE(c.offset() == microseconds(5 * second));
  REQUIRE(c.round_trip() == microseconds(200));
  // The clock is set: slower trips are believed once the quick one is forgotten.
  for (int i = 2; i < 10; ++i)
    c.learn(at(i * 100'000).steady, at(i * 100'000 + 500).wall, at(i * 100'000 + 1000));
  REQUIRE(c.offset() == microseconds(0));
  // Nonsense is not.
  c.learn(at(2'000'000).steady, at(0).wall, at(1'000'000));
  REQUIRE(c.offset() == microseconds(0));
}

TEST_CASE("the offset is shown on both nodes, and warned of until it is gone") {
  pair_of_nodes p;
  p.clock_offset[1] = 700'000;
  meet(p);
  REQUIRE(p.status(0).clock_offset_milliseconds == 700);
  REQUIRE(p.status(1).clock_offset_milliseconds == -700);
  REQUIRE(p.logged(0, "the peer's clock is 700 ms ahead of ours"));
  REQUIRE(p.logged(1, "the peer's clock is 700 ms behind ours"));
  p.take_log(0);
  p.pass(milliseconds(2000));
  REQUIRE(p.take_log(0).empty());  // said once
  p.clock_offset[1] = 0;
  p.pass(milliseconds(3000));
  REQUIRE(p.status(0).clock_offset_milliseconds == 0);
  REQUIRE(p.logged(0, "the clocks agree again"));
}

TEST_CASE("clocks that run apart end the link, loudly, and their agreement brings it back") {
  pair_of_nodes p;
  meet(p);
  p.clock_offset[1] = -61 * second;
  p.pass(milliseconds(3000));
  REQUIRE_FALSE(p.status(0).linked);
  REQUIRE(p.logged(0, "the clocks are 61 s apart"));
  REQUIRE(p.logged(1, "the clocks are 61 s apart"));
  p.put(0, "k", "v");
  p.clock_offset[1] = 0;
  p.pass(milliseconds(3000));
  REQUIRE(p.status(0).linked);
  REQUIRE(p.get(1, "k") == "v");
}

TEST_CASE("under clocks that are off, jump back or start anew, versions rise and nodes converge") {
  for (const std::int64_t off : {2 * second, -2 * second, 30 * second, -30 * second}) {
    pair_of_nodes p;
    p.clock_offset[1] = off;
    meet(p);
    version last;
    const auto write = [&p, &last](int i, const std::string& value) {
      const service::hashed_key k("k");
      const version v = p.sides[i].data->lock(k, p.now(i)).put(k, 0, 0, value).stored;
      REQUIRE(v > last);
      last = v;
      p.pass(milliseconds(50));
      REQUIRE(p.get(0, "k") == value);
      REQUIRE(p.get(1, "k") == value);
    };
    for (int turn = 0; turn < 4; ++turn) write(turn % 2, "turn " + std::to_string(turn));
    // A jump back, while they are linked.
    p.clock_offset[1] -= 20 * second;
    for (int turn = 4; turn < 8; ++turn) write(turn % 2, "turn " + std::to_string(turn));
    // A restart under a clock that is behind what was issued.
    p.kill(1);
    p.clock_offset[1] -= 5 * second;
    p.pass(milliseconds(500));
    p.start(1, true, 1);
    p.pass(milliseconds(1500));
    REQUIRE(p.status(1).linked);
    for (int turn = 8; turn < 12; ++turn) write(turn % 2, "turn " + std::to_string(turn));
    REQUIRE(p.sides[0].data->digest(p.now(0)).digest == p.sides[1].data->digest(p.now(1)).digest);
  }
}
