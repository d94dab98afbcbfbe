#include "common/protocol/meta_flags.h"

#include <string>

#include "common/protocol/base64.h"
#include "common/protocol/parser.h"
#include "common/protocol/reply.h"
#include "tests/unit/catch.h"

using namespace tandem::protocol;
using namespace std::literals;

namespace {

std::string encoded(std::string_view bytes) {
  std::string text(base64_size(bytes.size()), '?');
  REQUIRE(write_base64(text.data(), bytes) == text.data() + text.size());
  return text;
}

std::string decoded(std::string_view text) {
  std::string bytes(base64_decoded_max(text.size()) + 1, '?');
  const std::size_t size = decode_base64(bytes.data(), text);
  REQUIRE(size < bytes.size());
  bytes.resize(size);
  return bytes;
}

}  // namespace

TEST_CASE("base64 is written as everyone writes it") {
  for (const auto& [bytes, text] : {std::pair{""sv, ""sv},
                                    {"f"sv, "Zg=="sv},
                                    {"fo"sv, "Zm8="sv},
                                    {"foo"sv, "Zm9v"sv},
                                    {"foob"sv, "Zm9vYg=="sv},
                                    {"\xff\xef\xbe\0"sv, "/+++AA=="sv}}) {
    REQUIRE(encoded(bytes) == text);
    REQUIRE(decoded(text) == bytes);
  }
  std::string all;
  for (int i = 0; i < 250; ++i) {
    all += static_cast<char>(i * 7);
    REQUIRE(decoded(encoded(all)) == all);
  }
}

TEST_CASE("base64 is read as memcached reads it: strangers are passed over") {
  REQUIRE(decoded("Zm9v!") == "foo");
  REQUIRE(decoded("-Z_m\x80"
                  "9 v") == "foo");
  REQUIRE(decoded("Zm8=Zm9v") == "fo");  // ends at the padding
  REQUIRE(decoded("Zm=v") == "f`");      // wherever in its group it is
  for (const auto none : {"", "Z", "Zm", "Zm9", "Zm9vY", "!!!!", "Z===", "===="})
    REQUIRE(decoded(none).empty());
}

TEST_CASE("the flags of a meta line end up where they belong") {
  const request r = parse_line(
      "ms key 7 T-3 N4 R5 F4294967295 C18446744073709551615 E9 MA D11 J12 Oop k q I x P L\r\n");
  REQUIRE(r.todo == action::run);
  REQUIRE(r.what == verb::meta_set);
  REQUIRE(r.key == "key");
  REQUIRE(r.has_block);
  REQUIRE(r.value_bytes == 7);
  REQUIRE_FALSE(r.noreply);
  REQUIRE(r.flags == UINT32_MAX);
  REQUIRE(r.exptime == -3);
  REQUIRE(r.meta.vivify == 4);
  REQUIRE(r.meta.recache == 5);
  REQUIRE(r.meta.compare == UINT64_MAX);
  REQUIRE(r.meta.unique == 9);
  REQUIRE(r.meta.mode == 'A');
  REQUIRE(r.meta.delta == 11);
  REQUIRE(r.meta.initial == 12);
  for (const char letter : "TNRFCEMDJOkqIxPL"s) REQUIRE(r.meta.has(letter));
  for (const char letter : "vbtchlsfuSZa"s) REQUIRE_FALSE(r.meta.has(letter));
  REQUIRE(r.rest.starts_with("T-3 N4"));
  REQUIRE(parse_line("ma key\n").meta.delta == 1);
}

TEST_CASE("a refused ms swallows its block if, and only if, its length is known") {
  for (const auto line : {"ms k 3 y\r\n", "ms k 3 T\r\n", "ms k 3 MX\r\n", "ms k! 3 b\r\n"}) {
    const request r = parse_line(line);
    REQUIRE(r.todo == action::refuse);
    REQUIRE(r.has_block);
    REQUIRE(r.value_bytes == 3);
    REQUIRE_FALSE(r.noreply);
  }
  for (const auto line : {"ms k\r\n", "ms k x\r\n", "ms k 3 \xff\r\n", "ms k -3 q\r\n"}) {
    const request r = parse_line(line);
    REQUIRE(r.todo == action::refuse);
    REQUIRE_FALSE(r.has_block);
    REQUIRE(r.error == reply::bad_format);
  }
}
