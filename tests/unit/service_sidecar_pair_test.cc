// A node whose data a memcached keeps beside one that keeps its own: it serves when the memcached
// has all that the peer has sent.
#include <memory>
#include <string>

#include "common/service/sidecar.h"
#include "tests/unit/catch.h"
#include "tests/unit/no_waker.h"
#include "tests/unit/node_pair.h"

using namespace tandem;
using namespace tandem::testing;
using test::no_waker;

namespace {

// The second node's memcached is the test.
struct mixed_pair : pair_of_nodes {
  mixed_pair() : lane(0) {
    lane.set_waker(waker);
    lane.open(true);
    lanes.add(lane);
    port = [this](int i, service::store& data) -> data_port& {
      if (i == 0) return data;
      beside = std::make_unique<service::sidecar>(data, lanes, [] {});
      return *beside;
    };
  }
  // What was sent to the memcached since the last call.
  std::string sent() {
    byte_buffer out;
    lane.take_output(out);
    return std::string(out.view());
  }
  void reply(std::string_view text) {
    const std::span<char> room = lane.prepare();
    std::copy(text.begin(), text.end(), room.begin());
    REQUIRE(
        lane.received(text.size(), [](backend::expected& e, std::string_view,
                                      std::string_view answer) { e.who->answered(e, answer); }));
  }

  no_waker waker;
  backend::lane lane;
  backend::lanes lanes;
  std::unique_ptr<service::sidecar> beside;
};

}  // namespace

TEST_CASE("a node serves when its memcached has answered all that the peer has sent") {
  mixed_pair p;
  p.start(0, false, 0);
  p.pass(milliseconds(500));
  p.put(0, "never", "x");
  {
    const service::hashed_key k(std::string_view("expires"));
    p.sides[0].data->lock(k, p.now(0)).put(k, 0, unix_seconds(p.now(0).wall) + 100, "y");
  }
  p.lanes.clock().settle(false);
  p.start(1, true, 1);
  p.pass(milliseconds(500));
  const std::string first = p.sent();
  REQUIRE(first.starts_with("ms never 1 T0 "));
  REQUIRE(first.find("expires") == std::string::npos);
  REQUIRE(p.role(1) == role_state::syncing);
  p.reply("MN\r\n");
  p.pass(milliseconds(500));
  REQUIRE(p.role(1) == role_state::syncing);
  REQUIRE_FALSE(p.sides[1].serving);
  REQUIRE_FALSE(p.status(0).peer_in_sync);

  p.lanes.clock().settle(true);
  p.beside->clock_settled(p.now(1));
  REQUIRE(p.sent().starts_with("ms expires 1 T"));
  p.pass(milliseconds(500));
  REQUIRE(p.role(1) == role_state::syncing);
  p.reply("MN\r\n");
  p.step(1, event::mutated{});
  REQUIRE(p.role(1) == role_state::slave);
  REQUIRE(p.sides[1].serving);
  p.pass(milliseconds(100));
  REQUIRE(p.status(0).peer_in_sync);
}
