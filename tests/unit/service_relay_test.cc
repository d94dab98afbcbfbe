// Requests of a connection on their way to a backend: how many bytes of them, and of replies that
// wait for their turn, a connection can have in memory.
#include <string>

#include "common/service/relay.h"
#include "tests/unit/catch.h"
#include "tests/unit/no_waker.h"
#include "tests/unit/service_client.h"

using namespace tandem;
using namespace tandem::service;
using test::no_waker;
using test::set;

namespace {

constexpr std::size_t most = relay::bytes_max;

struct no_sink final : backend::reply_sink {
  bool answered(const backend::expected&, std::string_view) override { return true; }
  void settled() override {}
};

std::string text_of(const output_queue& out) {
  std::string text;
  std::array<std::string_view, 8> pieces;
  for (std::size_t i = 0, n = out.pieces(pieces); i < n; ++i) text.append(pieces[i]);
  return text;
}

// A connection whose backend is the test.
class relayed {
 public:
  relayed() : lane_(0) {
    lane_.set_waker(waker_);
    lane_.open(true);
    lanes_.add(lane_);
    client.connection.relay_to(lanes_, sink_, 0);
  }
  // Bytes that were sent to the backend since the last call.
  std::size_t sent() {
    byte_buffer out;
    lane_.take_output(out);
    return out.size();
  }
  // The backend answers; returns what the client gets.
  std::string reply(std::string_view text) {
    const std::span<char> room = lane_.prepare();
    std::copy(text.begin(), text.end(), room.begin());
    REQUIRE(lane_.received(text.size(),
                           [&](backend::expected& e, std::string_view, std::string_view answer) {
                             client.connection.answered(e, answer, test::noon);
                           }));
    return client.send("");
  }

  test::client client;

 private:
  no_waker waker_;
  no_sink sink_;
  backend::lane lane_;
  backend::lanes lanes_;
};

}  // namespace

TEST_CASE("requests under way are bounded in bytes, and one is let through whatever its size") {
  backend::lanes none;
  no_sink sink;
  output_queue out;
  relay r(none, sink, 0);
  const auto first = r.place(false, most - 2);
  REQUIRE_FALSE(r.full());
  const auto second = r.place(false, 2);
  REQUIRE(r.full());
  r.answer(second.number, {"b"}, out);
  REQUIRE_FALSE(r.full());
  r.answer(first.number, {"a"}, out);
  REQUIRE(text_of(out) == "ab");
  REQUIRE(r.idle());
  const auto large = r.place(false, 3 * most);
  REQUIRE(r.full());
  r.answer(large.number, {"c"}, out);
  REQUIRE_FALSE(r.full());
}

TEST_CASE("replies that wait for their turn count, until they go out") {
  backend::lanes none;
  no_sink sink;
  output_queue out;
  relay r(none, sink, 0);
  const auto first = r.place(false, 10);
  const auto second = r.place(false, 10);
  const auto third = r.place(false, 10);
  const std::string large(most / 2, 'x');
  r.answer(second.number, {large}, out);
  REQUIRE_FALSE(r.full());
  r.answer(third.number, {large}, out);
  REQUIRE(r.full());
  REQUIRE(out.empty());
  r.answer(first.number, {"a"}, out);
  REQUIRE_FALSE(r.full());
  REQUIRE(out.size() == 1 + 2 * large.size());
  // Nothing is left in the count.
  (void)r.place(false, most - 1);
  REQUIRE_FALSE(r.full());
}

TEST_CASE(
    "a connection reads no more of large values than may be under way, until some are stored") {
  relayed r;
  constexpr std::size_t value = 100'000, count = 30;
  std::string all;
  for (std::size_t i = 0; i < count; ++i)
    all += set("k" + std::to_string(i), std::string(value, 'v'));
  REQUIRE(r.client.send(all).empty());
  const std::size_t unsent = r.client.unsent;
  REQUIRE(unsent > all.size() / 2);
  std::size_t sent = r.sent();
  REQUIRE(sent > most);
  REQUIRE(sent <= most + value + 200);
  // What it has read beyond that is bounded by its buffer, not by what the client sends.
  REQUIRE(r.client.connection.buffered_bytes() <= sent + 2 * value);
  REQUIRE_FALSE(r.client.connection.wants_read());

  std::size_t stored = 0;
  for (std::size_t at = all.size() - unsent; stored < count; ++stored) {
    REQUIRE(r.reply("HD\r\n") == "STORED\r\n");
    REQUIRE(r.client.send(std::string_view(all).substr(at)).empty());
    at = all.size() - r.client.unsent;
    sent += r.sent();
    REQUIRE(sent <= most + (stored + 2) * (value + 200));
  }
  REQUIRE(r.client.unsent == 0);
  REQUIRE(r.client.connection.wants_read());
}
