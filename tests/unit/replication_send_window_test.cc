// How much is under way to a peer that takes so many bytes a second, from a sender that always has
// more, or hardly anything.
#include "common/replication/send_window.h"

#include <chrono>
#include <deque>

#include "tests/unit/catch.h"

using namespace tandem;
using namespace tandem::replication;
using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t most = std::size_t{4} << 20, frame = 8 << 10;
constexpr milliseconds delay{250};

struct stream {
  send_window window{most, delay};
  microseconds now{1'000'000};
  microseconds distance{200};  // of an acknowledgement
  microseconds free{0};        // when the peer has taken what it was sent
  std::deque<microseconds> sent;
  microseconds longest{0};  // that a frame was under way

  // The sender keeps the window, or so many frames, full.
  void run(std::size_t bytes_per_second, milliseconds time, std::size_t frames = most) {
    longest = microseconds(0);
    for (const auto end = now + time; now < end;) {
      while (sent.size() * frame < window.size() && sent.size() < frames) sent.push_back(now);
      free = std::max(free, now) + microseconds(frame * 1'000'000 / bytes_per_second);
      now = free;
      const microseconds took = now - sent.front() + distance;
      const std::size_t ahead = sent.size() * frame;
      sent.pop_front();
      longest = std::max(longest, took);
      window.acknowledged(frame, took, ahead, steady_time(now));
    }
  }
};

}  // namespace

TEST_CASE("a fast peer gets all that may be under way, near or far") {
  stream s;
  s.distance = GENERATE(microseconds(200), microseconds(80'000));
  s.run(1'000'000'000, milliseconds(1000));
  REQUIRE(s.window.size() == most);
}

TEST_CASE("what a slow peer has before it takes it no longer than the delay") {
  stream s;
  const std::size_t rate = GENERATE(1'000'000U, 3'000'000U, 20'000'000U);
  s.run(rate, milliseconds(5000));
  REQUIRE(s.longest < delay);
  // Nor is it kept waiting for more.
  REQUIRE(s.window.size() >= std::min<std::size_t>(rate / 1000 * 20, std::size_t{32} << 10));
}

TEST_CASE("a window that is not made use of is small when the peer gets slow") {
  stream s;
  s.run(1'000'000'000, milliseconds(1000));
  REQUIRE(s.window.size() == most);
  s.run(1'000'000'000, milliseconds(3000), 2);
  REQUIRE(s.window.size() < std::size_t{256} << 10);
  s.run(1'000'000, milliseconds(1000));
  REQUIRE(s.longest < delay);
}

TEST_CASE("a peer that has become slow in the middle of much is overrun once") {
  stream s;
  s.run(1'000'000'000, milliseconds(1000));
  s.run(1'000'000, milliseconds(12'000));
  s.run(1'000'000, milliseconds(2000));
  REQUIRE(s.longest < delay);
  s.run(1'000'000'000, milliseconds(1000));
  REQUIRE(s.window.size() == most);
}
