// A memcached's clock: found out by readings, whatever its ticks are beside ours, and used to turn
// expiries of one into those of the other.
#include <random>
#include <string>

#include "common/backend/clock.h"
#include "tests/unit/catch.h"

using namespace tandem;
using namespace tandem::backend;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::uint32_t epoch = 1795697555;

wall_time at(std::chrono::duration<double> since) {
  return wall_time{seconds(epoch) + std::chrono::duration_cast<microseconds>(since)};
}

// What a clock that is `behind` ours counts at a moment.
std::int64_t counted(wall_time when, microseconds behind) {
  return std::chrono::floor<seconds>(when.time_since_epoch() - behind).count();
}

double off(microseconds one, microseconds other) {
  return std::abs(std::chrono::duration<double>(one - other).count());
}

}  // namespace

TEST_CASE("what stats says of the process is read") {
  const auto read = read_stats(
      "STAT pid 7\r\nSTAT uptime 60\r\nSTAT time 1795697555\r\nSTAT version 1.6.18\r\n"
      "STAT curr_items 3\r\nEND\r\n");
  REQUIRE(read);
  REQUIRE(read->second == epoch);
  REQUIRE(read->pid == 7);
  REQUIRE(read->items == 3);
  for (const char* none :
       {"", "END\r\n", "ERROR\r\n", "STAT time 5\r\n", "STAT time x\r\nSTAT pid 7\r\nEND\r\n",
        "STAT time 99999999999\r\nEND\r\n", "STAT\r\nEND\r\n", "STAT time 5"})
    REQUIRE_FALSE(read_stats(none));
}

TEST_CASE(
    "a clock is known to a tenth of a second after a second of readings, whatever it is off") {
  std::minstd_rand random(7);
  for (int round = 0; round < 200; ++round) {
    const microseconds behind(static_cast<std::int64_t>(random() % 5'000'000) - 2'500'000);
    clock_meter meter;
    double now = random() % 1000 / 1000.0, began = now;
    while (!meter.is_precise()) {
      const double took = random() % 5 / 1000.0, read = now + took * (random() % 100 / 100.0);
      meter.heard(counted(at(std::chrono::duration<double>(read)), behind),
                  at(std::chrono::duration<double>(now)),
                  at(std::chrono::duration<double>(now + took)));
      now += took + 0.025;
      REQUIRE(now < began + 1.2);
    }
    REQUIRE(off(meter.behind(), behind) <= 0.05);
  }
}

TEST_CASE("ticks that come later or earlier than they did are noticed and found again") {
  for (const microseconds moved : {milliseconds(70), milliseconds(-70), milliseconds(400),
                                   milliseconds(-400), milliseconds(3000)}) {
    const microseconds behind = milliseconds(300);
    clock_meter meter;
    double now = 0;
    const auto read = [&](microseconds by) {
      const wall_time when = at(std::chrono::duration<double>(now));
      meter.heard(counted(when, by), when, when);
    };
    for (; !meter.is_precise(); now += 0.025) read(behind);
    for (const auto suspicion : {clock_meter::suspicion::late, clock_meter::suspicion::early}) {
      const auto pause =
          meter.until_check(at(std::chrono::duration<double>(now)), seconds(10), suspicion);
      REQUIRE(pause >= seconds(10));
      REQUIRE(pause <= seconds(11));
      now += std::chrono::duration<double>(pause).count();
      read(behind + moved);
      if (!meter.is_precise()) break;
    }
    REQUIRE_FALSE(meter.is_precise());
    for (; !meter.is_precise(); now += 0.025) read(behind + moved);
    REQUIRE(off(meter.behind(), behind + moved) <= 0.05);
  }
}

TEST_CASE("an expiry has the same moment by either clock, to the half second") {
  for (std::int64_t ms = -3000; ms <= 3000; ms += 100) {
    backend::clock c;
    c.set(milliseconds(ms));
    for (const std::uint32_t ours : {epoch, epoch + 100, epoch + 40 * 86400}) {
      const double moment = c.theirs(ours) + static_cast<double>(ms) / 1000;
      REQUIRE(std::abs(moment - ours) <= 0.5);
      const auto back = c.ours(c.theirs(ours));
      if (ms % 500 != 0 || ms % 1000 == 0) REQUIRE(back.second == ours);
      REQUIRE(std::abs(back.second + back.part / 256.0 - moment) <= 1 / 256.0);
      for (int part = -128; part < 128; part += 51)
        REQUIRE(std::abs(c.theirs(ours, static_cast<std::int8_t>(part)) +
                         static_cast<double>(ms) / 1000 - ours - part / 256.0) <= 0.5);
    }
    for (const std::uint32_t stays : {0U, 1U}) {
      REQUIRE(c.ours(stays).second == stays);
      REQUIRE(c.theirs(stays) == stays);
    }
    REQUIRE(c.exptime(0, at(seconds(0))) == 0);
    REQUIRE(c.exptime(-1, at(seconds(0))) == 1);
  }
  backend::clock c;
  REQUIRE(c.exptime(100, at(milliseconds(500))) == epoch + 100);
  // It counted the second before for a tenth of a second more, and is rounded to ours.
  c.set(milliseconds(600));
  REQUIRE(c.second(at(milliseconds(500))) == epoch - 1);
  REQUIRE(c.exptime(100, at(milliseconds(500))) == epoch + 100);
  REQUIRE(c.exptime(static_cast<std::int32_t>(epoch + 100), at(seconds(0))) == epoch + 101);
  REQUIRE(c.theirs(UINT32_MAX) == UINT32_MAX - 1);
  REQUIRE(c.ours(UINT32_MAX).second == UINT32_MAX);
}

TEST_CASE("near a tick it is not certain which second an answer came from") {
  backend::clock c;
  c.set(milliseconds(300));
  const auto doubt = [&](std::int64_t from, std::int64_t to) {
    return c.latest(at(milliseconds(to))) - c.earliest(at(milliseconds(from)));
  };
  REQUIRE(doubt(450, 451) == 0);
  REQUIRE(doubt(450, 1150) == 0);
  REQUIRE(doubt(390, 391) == 1);
  REQUIRE(doubt(290, 291) == 1);
  REQUIRE(doubt(450, 1250) == 1);
  REQUIRE(doubt(450, 2450) == 2);
}
