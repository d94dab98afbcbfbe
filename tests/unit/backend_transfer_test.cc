// Items between backends: the lines of a metadump, what is read of an item and how it is written.
#include <string>

#include "common/backend/metadump.h"
#include "common/backend/transfer.h"
#include "tests/unit/catch.h"

using namespace tandem;
using namespace tandem::backend;

namespace {

template <class Write>
std::string written(Write&& write) {
  byte_buffer out;
  write(out);
  return std::string(out.view());
}

}  // namespace

TEST_CASE("a dump's lines are read in the forms of all versions") {
  dumped_item item;
  REQUIRE(read_dump_line("key=foo exp=-1 la=1795697555 cas=7 fetch=no cls=1 size=63", item) ==
          dump_line::item);
  REQUIRE(item.key == "foo");
  REQUIRE(item.exptime == 0);
  REQUIRE(item.cas == 7);
  REQUIRE_FALSE(item.binary);
  REQUIRE(read_dump_line("key=a%20b%0d exp=1795697999 la=1 cas=480063654774352 fetch=yes cls=1 "
                         "size=63 flags=5",
                         item) == dump_line::item);
  REQUIRE(item.key == "a b\r");
  REQUIRE(item.exptime == 1795697999);
  REQUIRE(item.cas == 480063654774352);
  REQUIRE(item.binary);
  REQUIRE(read_dump_line("OK", item) == dump_line::begin);
  REQUIRE(read_dump_line("END", item) == dump_line::end);
  REQUIRE(read_dump_line("BUSY currently processing crawler request", item) == dump_line::later);
  REQUIRE(read_dump_line("ERROR locked try again later", item) == dump_line::later);
  for (const char* wrong : {"", "ERROR", "key= exp=-1", "key=%2 exp=-1", "key=%zz exp=-1",
                            "key=a exp=soon", "CLIENT_ERROR lru crawler disabled", "exp=-1"})
    REQUIRE(read_dump_line(wrong, item) == dump_line::malformed);
  REQUIRE(read_dump_line("key=" + std::string(251, 'k') + " exp=-1", item) == dump_line::malformed);
}

TEST_CASE("an item is read whole") {
  REQUIRE(written([](byte_buffer& to) { write_fetch(to, {"k"}); }) == "mg k v f t c u\r\n");
  REQUIRE(written([](byte_buffer& to) {
            write_fetch(to, {"a b", true});
          }) == "mg YSBi v f t c u b\r\n");
  const auto item = read_fetched("VA 4 f5 t60 c77\r\n\r\nVA\r\n");
  REQUIRE(item);
  REQUIRE(item->flags == 5);
  REQUIRE(item->ttl == 60U);
  REQUIRE(item->cas == 77);
  REQUIRE(item->value == "\r\nVA");
  REQUIRE(read_fetched("VA 0 f0 t-1 c1\r\n\r\n")->value.empty());
  REQUIRE_FALSE(read_fetched("VA 0 f0 t-1 c1\r\n\r\n")->ttl);
  for (const char* none : {"", "EN\r\n", "SERVER_ERROR x\r\n"}) REQUIRE_FALSE(read_fetched(none));
  const auto beside = read_gets("VALUE k 5 3 77\r\nEND\r\nEND\r\n");
  REQUIRE(beside);
  REQUIRE(beside->flags == 5);
  REQUIRE(beside->cas == 77);
  REQUIRE(beside->value == "END");
  for (const char* none : {"", "END\r\n", "SERVER_ERROR x\r\n"}) REQUIRE_FALSE(read_gets(none));
}

TEST_CASE("an item is written as it was, until the moment that was meant") {
  constexpr std::uint32_t now = 1795697555;
  const auto line = [&](const item_head& item) {
    return written([&](byte_buffer& to) { write_item_line(to, item, now); });
  };
  REQUIRE(line({{"k"}, 5, 0, 3, {}}) == "ms k 3 T0 F5 q\r\n");
  REQUIRE(line({{"k"}, 5, now + 60, 3, 77}) == "ms k 3 T1795697615 F5 E77 q\r\n");
  REQUIRE(line({{"a b", true}, 5, now, 3, 77}) == "ms YSBi 3 T1795697555 F5 E77 q b\r\n");
  // A clock so young that its moments would be taken for times to live.
  REQUIRE(written([&](byte_buffer& to) {
            write_item_line(to, {{"k"}, 0, 200, 0, {}}, 140);
          }) == "ms k 0 T60 F0 q\r\n");
  REQUIRE(written([&](byte_buffer& to) {
            write_stale(to, {{"k"}, 5, now + 60, 3, 77}, now);
          }) == "md k I T1795697615 E77 q\r\n");
  REQUIRE(written([](byte_buffer& to) { write_remove(to, {"k"}); }) == "md k q\r\n");
  REQUIRE(written([](byte_buffer& to) { write_win(to, {"k"}); }) == "mg k s q\r\n");
}
