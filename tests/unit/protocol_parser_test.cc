#include "common/protocol/parser.h"

#include <string>
#include <vector>

#include "common/protocol/exptime.h"
#include "common/protocol/lines.h"
#include "common/protocol/numbers.h"
#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"
#include "tests/unit/catch.h"

using namespace tandem::protocol;
using namespace std::literals;

TEST_CASE("words are separated by spaces and by nothing else") {
  token_cursor words("  a  b\tc \x01\x7f\xc3\xa9 ");
  REQUIRE(words.next() == "a");
  REQUIRE(words.rest() == "b\tc \x01\x7f\xc3\xa9 ");
  REQUIRE(words.next() == "b\tc");
  REQUIRE(words.next() == "\x01\x7f\xc3\xa9");
  REQUIRE(words.next().empty());
  REQUIRE(words.rest().empty());
  REQUIRE(words.next().empty());

  REQUIRE(last_token("a b  c  ") == "c");
  REQUIRE(last_token("one") == "one");
  REQUIRE(last_token("   ").empty());
}

TEST_CASE("strict numbers are digits in the type's range") {
  REQUIRE(parse_strict<std::uint64_t>("18446744073709551615") == UINT64_MAX);
  REQUIRE(parse_strict<std::int32_t>("-2147483648") == INT32_MIN);
  REQUIRE(parse_strict<std::int32_t>("007") == 7);
  for (const auto text : {"", "+1", " 1", "1 ", "1a", "-", "-1", "18446744073709551616", "0x1"})
    REQUIRE_FALSE(parse_strict<std::uint64_t>(text));
  REQUIRE_FALSE(parse_strict<std::int32_t>("2147483648"));
}

TEST_CASE("lenient numbers are read as strtoull and strtoll read them") {
  const std::vector<std::pair<std::string_view, std::uint64_t>> good = {
      {"5", 5},
      {" 5", 5},
      {"5 ", 5},
      {"+5", 5},
      {"5 x", 5},
      {"5\tx", 5},
      {"0005", 5},
      {"\t\n\v\f\r5", 5},
      {"-0", 0},
      {"5\0abc"sv, 5},
      {"18446744073709551615", UINT64_MAX},
      {"-18446744073709551615", 1}};
  for (const auto& [text, value] : good) REQUIRE(parse_lenient_unsigned(text) == value);
  for (const auto text :
       {"", " ", "-", "+", "-5", "5a", "a5", "18446744073709551616", "- 5", "+-5"})
    REQUIRE_FALSE(parse_lenient_unsigned(text));

  REQUIRE(parse_lenient_signed("-1") == -1);
  REQUIRE(parse_lenient_signed("9223372036854775807") == INT64_MAX);
  REQUIRE(parse_lenient_signed("-9223372036854775808") == INT64_MIN);
  REQUIRE_FALSE(parse_lenient_signed("9223372036854775808"));
  REQUIRE_FALSE(parse_lenient_signed("-9223372036854775809"));
}

TEST_CASE("an exptime of up to 30 days counts from now, a larger one is a Unix time") {
  constexpr std::uint32_t now = 1'800'000'000;
  REQUIRE(absolute_exptime(0, now) == 0);
  REQUIRE(absolute_exptime(1, now) == now + 1);
  REQUIRE(absolute_exptime(2592000, now) == now + 2592000);
  REQUIRE(absolute_exptime(2592001, now) == 2592001);
  REQUIRE(absolute_exptime(INT32_MAX, now) == 2147483647U);
  REQUIRE(absolute_exptime(-1, now) == already_expired);
  REQUIRE(absolute_exptime(INT32_MIN, now) == already_expired);
  REQUIRE(absolute_exptime(2592000, UINT32_MAX - 1) == UINT32_MAX);
}

TEST_CASE("verbs match exactly") {
  REQUIRE(find_verb("get") == verb::get);
  REQUIRE(find_verb("delete") == verb::remove);
  REQUIRE(find_verb("flush_all") == verb::flush_all);
  REQUIRE(find_verb("cache_memlimit") == verb::cache_memlimit);
  for (const auto word : {"", "GET", "ge", "getx", "flush_al", "flush_alls", "deletedelete"})
    REQUIRE(find_verb(word) == verb::unknown);
  REQUIRE(find_verb("\0get"sv) == verb::unknown);
  REQUIRE(find_verb("get\0"sv) == verb::unknown);
}

namespace {

// The verdict on `bytes` received in pieces of `piece`: at the first that is not "incomplete".
std::pair<line_status, std::size_t> find_in_pieces(std::string_view bytes, std::size_t piece) {
  line_finder finder;
  line_status status = line_status::incomplete;
  for (std::size_t n = 0; n < bytes.size() && status == line_status::incomplete;) {
    n = std::min(n + piece, bytes.size());
    status = finder.find(bytes.substr(0, n));
  }
  return {status, finder.size()};
}

}  // namespace

TEST_CASE("the verdict on a line does not depend on how it was cut") {
  const std::string filler(3000, 'x');
  struct row {
    std::string bytes;
    line_status status;
    std::size_t size;
  };
  const std::vector<row> rows = {
      {"get a\r\nget b\r\n", line_status::complete, 7},
      {"\n", line_status::complete, 1},
      {"set a", line_status::incomplete, 0},
      {filler.substr(0, 2048), line_status::incomplete, 0},
      {filler.substr(0, 2048) + "\n", line_status::complete, 2049},
      {filler.substr(0, 2049), line_status::too_long, 0},
      {"delete " + filler + "\r\n", line_status::too_long, 0},
      {"get " + filler, line_status::incomplete, 0},
      {"gets " + filler + "\r\n", line_status::complete, 3007},
      {"gat 1 " + filler + "\n", line_status::complete, 3007},
      {"gats 1 " + filler + "\n", line_status::complete, 3008},
      {"getx " + filler + "\n", line_status::too_long, 0},
      {std::string(100, ' ') + "get " + filler, line_status::incomplete, 0},
      {std::string(101, ' ') + "get " + filler, line_status::too_long, 0},
      {std::string(3000, ' '), line_status::too_long, 0},
      {"get " + std::string(keys_line_size_max - 4, 'k') + "\n", line_status::complete,
       keys_line_size_max + 1},
      {"get " + std::string(keys_line_size_max - 3, 'k'), line_status::too_long, 0},
  };
  for (const row& r : rows) {
    CAPTURE(r.bytes.substr(0, 20), r.bytes.size());
    const std::size_t smallest = r.bytes.size() > 10000 ? 997 : 1;
    for (std::size_t piece = smallest; piece <= r.bytes.size(); piece += smallest) {
      const auto [status, size] = find_in_pieces(r.bytes, piece);
      if (status != r.status || (status == line_status::complete && size != r.size))
        FAIL("differs in pieces of " << piece);
    }
  }
}

TEST_CASE("a storage line is taken apart") {
  const request r = parse_line("cas  key 7  60 12 99 noreply\r\n");
  REQUIRE(r.todo == action::run);
  REQUIRE(r.what == verb::cas);
  REQUIRE(r.key == "key");
  REQUIRE(r.flags == 7);
  REQUIRE(r.exptime == 60);
  REQUIRE(r.has_block);
  REQUIRE(r.value_bytes == 12);
  REQUIRE(r.number == 99);
  REQUIRE(r.noreply);
}

TEST_CASE("flags and exptimes of storage lines are cut to 32 bits") {
  REQUIRE(parse_line("set k 4294967296 0 1\n").flags == 0);
  REQUIRE(parse_line("set k 4294967295 0 1\n").flags == 4294967295U);
  REQUIRE(parse_line("set k 0 2147483648 1\n").exptime == INT32_MIN);
  REQUIRE(parse_line("set k 0 4294967296 1\n").exptime == 0);
  REQUIRE(parse_line("set k -1 0 1\n").todo == action::refuse);
}

TEST_CASE("only a storage line with a good length is followed by a block") {
  const std::string long_key(251, 'k');
  REQUIRE(parse_line("set " + long_key + " 0 0 5\r\n").has_block);
  REQUIRE(parse_line("set k x 0 5\r\n").has_block);
  REQUIRE(parse_line("cas k 0 0 5\r\n").has_block);
  REQUIRE(parse_line("set k 0 0 2147483645\r\n").has_block);
  for (const auto line :
       {"set k 0 0\r\n", "set k 0 0 -1\r\n", "set k 0 0 +1\r\n", "set k 0 0 2147483646\r\n",
        "set k 0 0 4294967296\r\n", "set k 0 0 noreply\r\n", "set\r\n"}) {
    const request r = parse_line(line);
    REQUIRE(r.todo == action::refuse);
    REQUIRE_FALSE(r.has_block);
    REQUIRE_FALSE(r.noreply);
    REQUIRE(r.error == reply::bad_format);
  }
}

TEST_CASE("the keys of a retrieval are handed on as they stand in the line") {
  REQUIRE(parse_line("get a  bb ccc \r\n").rest == "a  bb ccc ");
  const request r = parse_line("gats -1 a b\n");
  REQUIRE(r.exptime == -1);
  REQUIRE(r.rest == "a b");
  REQUIRE(parse_line("get a noreply\r\n").noreply == false);
  REQUIRE(parse_line("get a " + std::string(251, 'k') + " b\r\n").todo == action::refuse);
  REQUIRE(parse_line("get " + std::string(250, 'k') + "\r\n").todo == action::run);
}

TEST_CASE("a browser is hung up on") {
  REQUIRE(parse_line("GET / HTTP/1.1\r\n").todo == action::close);
  REQUIRE(parse_line("POST /x HTTP/\r\n").todo == action::close);
  REQUIRE(parse_line("GET / http/1.1\r\n").todo == action::refuse);
  REQUIRE(parse_line("get / HTTP/1.1\r\n").todo == action::run);
}

TEST_CASE("value lines are written to the byte and within their limit") {
  char line[value_line_max];
  const auto text = [&](char* end) { return std::string_view(line, std::size_t(end - line)); };
  REQUIRE(text(write_value_line(line, "k", 0, 0)) == "VALUE k 0 0\r\n");
  REQUIRE(text(write_value_line(line, "k", 4294967295U, 1048576, UINT64_MAX)) ==
          "VALUE k 4294967295 1048576 18446744073709551615\r\n");
  const std::string key(key_size_max, 'k');
  REQUIRE(text(write_value_line(line, key, UINT32_MAX, SIZE_MAX, UINT64_MAX)).size() <=
          value_line_max);
  REQUIRE(text(write_number_line(line, 0)) == "0\r\n");
}
