#include <string>

#include "common/base/crc32c.h"
#include "common/base/hash.h"
#include "common/base/version.h"
#include "tests/unit/catch.h"

using namespace tandem;

TEST_CASE("crc32c gives the published check values") {
  REQUIRE(crc32c("") == 0);
  REQUIRE(crc32c("123456789") == 0xE3069283U);            // the CRC catalogue's check
  REQUIRE(crc32c(std::string(32, '\0')) == 0x8A9136AAU);  // RFC 3720, B.4
  REQUIRE(crc32c(std::string(32, '\xff')) == 0x62A8AB43U);
}

TEST_CASE("crc32c by the processor and by Boost agree, in one piece and in two") {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    REQUIRE(crc32c(bytes) == detail::crc32c_portable(bytes, 0));
    const auto half = std::string_view(bytes).substr(0, bytes.size() / 3);
    const auto rest = std::string_view(bytes).substr(half.size());
    REQUIRE(crc32c(rest, crc32c(half)) == crc32c(bytes));
    REQUIRE(detail::crc32c_portable(rest, crc32c(half)) == crc32c(bytes));
    bytes += static_cast<char>(i * 7);
  }
}

TEST_CASE("a version orders by time, then by node, and survives as its word") {
  const version a(1000, 7), b(1001, 0);
  REQUIRE(a < b);
  REQUIRE(version(1000, 3) < a);
  REQUIRE(a.ticks() == 1000);
  REQUIRE(a.node() == 7);
  REQUIRE(version(a.word()) == a);
  REQUIRE_FALSE(version());
  REQUIRE(version() < version(1, 0));
}

TEST_CASE("a clock set before 2025 still gives valid versions") {
  REQUIRE(version::ticks_at(wall_time{}) == 1);
  REQUIRE(version::ticks_at(wall_time(std::chrono::seconds(version::epoch_seconds + 5))) ==
          5'000'000);
}

TEST_CASE("versions stay exact in a double until 2060") {
  const wall_time in_2060(std::chrono::seconds(2840140800));
  REQUIRE(version(version::ticks_at(in_2060), 7).word() < (std::uint64_t{1} << 53));
}

TEST_CASE("the hash of a key never changes: both nodes and later builds depend on it") {
  REQUIRE(hash_key("") == 0x2d06800538d394c2ULL);
  REQUIRE(hash_key("key") != hash_key("Key"));
}
