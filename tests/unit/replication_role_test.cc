#include <chrono>
#include <vector>

#include "common/replication/hello.h"
#include "common/replication/role.h"
#include "tests/unit/catch.h"

using namespace tandem;
using namespace tandem::replication;
using std::chrono::milliseconds;

namespace {

std::vector<standing> all_standings(std::uint64_t run_id) {
  std::vector<standing> all;
  for (int bits = 0; bits < 8; ++bits)
    for (std::uint64_t term : {0, 1, 2})
      for (unsigned node : {0, 1})
        all.push_back({(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, term, node, run_id});
  return all;
}

}  // namespace

TEST_CASE("of any two nodes that meet exactly one leads, and both agree which") {
  for (const standing& a : all_standings(10))
    for (const standing& b : all_standings(20)) {
      REQUIRE(leads(a, b) != leads(b, a));
      const standing& winner = leads(a, b) ? a : b;
      const standing& loser = leads(a, b) ? b : a;
      const auto term = term_after(winner, loser);
      REQUIRE(term >= winner.term);
      REQUIRE(term >= loser.term);
      // A reign goes on or a new one begins: never the term of a reign of the other's.
      if (loser.in_charge) REQUIRE((term > loser.term || winner.in_charge));
    }
}

TEST_CASE("the one in charge is not preempted by a returning old master") {
  const standing in_charge{true, true, true, 2, 1, 20};
  const standing returning{false, false, false, 0, 0, 10};
  REQUIRE(leads(in_charge, returning));
  REQUIRE(term_after(in_charge, returning) == 2);
  // Even one that held a higher term once.
  REQUIRE(leads(in_charge, {false, true, true, 9, 0, 10}));
  REQUIRE(term_after(in_charge, {false, true, true, 9, 0, 10}) == 10);
}

TEST_CASE("after a partition the later reign goes on") {
  const standing old_master{true, true, true, 1, 0, 10};
  const standing promoted{true, true, true, 2, 1, 20};
  REQUIRE(leads(promoted, old_master));
  REQUIRE(term_after(promoted, old_master) == 2);
}

TEST_CASE("a node that went alone without the data never outranks the one that has it") {
  const standing full{true, true, true, 1, 1, 20};
  const standing empty_alone{true, false, false, 5, 0, 10};
  REQUIRE(leads(full, empty_alone));
  REQUIRE(term_after(full, empty_alone) == 6);
}

TEST_CASE("an empty node in charge of nothing yields to one that was in charge of data") {
  const standing filled_alone{true, false, true, 1, 1, 20};
  const standing fresh{true, true, false, 1, 0, 10};
  REQUIRE(leads(filled_alone, fresh));
}

TEST_CASE("between two that start, the one with data leads, then the lower node id") {
  REQUIRE(leads({false, false, true, 0, 1, 20}, {false, false, false, 0, 0, 10}));
  REQUIRE(leads({false, false, false, 0, 0, 20}, {false, false, false, 0, 1, 10}));
}

namespace {

hello a_hello() {
  hello h;
  h.stands = {true, true, true, 7, 5, 0x1234567890ULL};
  h.known_run_id = 99;
  h.resumes = true;
  h.node_id_fixed = true;
  h.clock = wall_time(std::chrono::seconds(1'800'000'000));
  h.highest = version(4711);
  h.reign = 8;
  h.cluster = "prod";
  return h;
}

}  // namespace

TEST_CASE("a hello survives the wire; anything else is not one") {
  const hello h = a_hello();
  const std::string bytes = encode(h);
  const auto back = decode_hello(bytes);
  REQUIRE(back);
  REQUIRE(back->stands.in_charge);
  REQUIRE(back->stands.complete);
  REQUIRE(back->stands.has_data);
  REQUIRE(back->stands.term == 7);
  REQUIRE(back->stands.node_id == 5);
  REQUIRE(back->stands.run_id == h.stands.run_id);
  REQUIRE(back->known_run_id == 99);
  REQUIRE(back->resumes);
  REQUIRE(back->node_id_fixed);
  REQUIRE(back->clock == h.clock);
  REQUIRE(back->highest == h.highest);
  REQUIRE(back->reign == 8);
  REQUIRE(back->cluster == "prod");
  REQUIRE(decode_hello(bytes + "fields of a later version"));
  for (std::size_t cut = 0; cut < bytes.size(); ++cut)
    REQUIRE_FALSE(decode_hello(std::string_view(bytes).substr(0, cut)));
  REQUIRE_FALSE(
      decode_hello("GET / HTTP/1.1\r\nHost: memtandem.example.org\r\nAccept: */*\r\n\r\n...."));
}

TEST_CASE("a peer that does not fit is refused with the reason") {
  const hello mine = a_hello();
  const auto why = [&](auto change) {
    hello theirs = a_hello();
    theirs.stands.node_id = 6;
    change(theirs);
    const std::string apart = incompatibility(mine, theirs);
    return apart.empty() ? objection(mine, theirs, milliseconds(60'000)) : apart;
  };
  REQUIRE(why([](hello&) {}).empty());
  REQUIRE(why([](hello& h) { h.cluster = "test"; }).find("another cluster") != std::string::npos);
  REQUIRE(why([](hello& h) { h.protocol_min = h.protocol_max = 9; }).find("protocol") !=
          std::string::npos);
  REQUIRE(why([](hello& h) { h.features_required = 4; }).find("feature") != std::string::npos);
  REQUIRE(why([](hello& h) { h.stands.node_id = 5; }).find("node id 5") != std::string::npos);
  REQUIRE(why([](hello& h) { h.clock += std::chrono::seconds(59); }).empty());
  REQUIRE(why([](hello& h) { h.clock -= std::chrono::seconds(61); }).find("clocks") !=
          std::string::npos);
  REQUIRE(why([](hello& h) { h.clock = wall_time::min(); }).find("clocks") != std::string::npos);
}
