// The merge rule, exhaustively: whatever a handful of operations did to a key on two nodes, and in
// whatever order and however often the records of it arrive, the nodes end up the same.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/replication/merge.h"
#include "common/service/store.h"
#include "tests/unit/catch.h"

using namespace tandem;
using replication::record;
using replication::record_kind;

namespace {

const instant now{wall_time(std::chrono::seconds(1'800'000'000)), steady_time{}};

record value(std::uint64_t stored, std::uint64_t touched, std::string_view bytes,
             std::uint32_t flags = 0) {
  record r;
  r.key = "k";
  r.value = bytes;
  r.meta.stored = version(stored);
  r.meta.touched = version(touched);
  r.meta.flags = flags;
  r.meta.exptime = touched == 0 ? 0 : 1'900'000'000 + static_cast<std::uint32_t>(touched);
  return r;
}

record tombstone(std::uint64_t stored) {
  record r;
  r.kind = record_kind::tombstone;
  r.meta.kind = engine::item_kind::tombstone;
  r.key = "k";
  r.meta.stored = version(stored);
  return r;
}

std::string state(service::store& s) {
  const service::hashed_key k("k");
  const auto locked = s.lock(k, now);
  const auto item = locked.peek(k);
  if (!item) return "nothing";
  return std::to_string(item->meta.stored.word()) + "/" +
         std::to_string(item->meta.touched.word()) + "/" + std::to_string(item->meta.flags) + "/" +
         std::to_string(item->meta.exptime) +
         (item->meta.kind == engine::item_kind::tombstone ? " tombstone"
                                                          : " " + std::string(item->value));
}

std::string after(const std::vector<record>& records) {
  service::store_options o;
  o.memory_bytes = 1 << 20;
  service::store s(o);
  for (const record& r : records) s.apply(r, now);
  return state(s);
}

}  // namespace

TEST_CASE("all orders and duplications of up to four records give one state") {
  // Stores, deletes and touches of a few versions; and, as only a broken clock makes them,
  // different states under one version.
  const std::vector<record> pool = {
      value(80, 0, "a"),    value(80, 96, "a"), value(80, 104, "a"),
      value(88, 0, "b", 5), value(88, 0, "c"),  value(88, 120, "b", 5),
      tombstone(72),        tombstone(88),      tombstone(112)};
  std::size_t checked = 0;
  for (std::size_t a = 0; a < pool.size(); ++a)
    for (std::size_t b = a; b < pool.size(); ++b)
      for (std::size_t c = b; c < pool.size(); ++c)
        for (std::size_t d = c; d < pool.size(); ++d) {
          std::vector<std::size_t> order{a, b, c, d};
          std::string expected;
          do {
            std::vector<record> records;
            for (const std::size_t i : order) records.push_back(pool[i]);
            // Everything twice: once more in the same order, as a resent journal does.
            std::vector<record> twice = records;
            twice.insert(twice.end(), records.begin(), records.end());
            const std::string once = after(records);
            REQUIRE(after(twice) == once);
            if (expected.empty()) expected = once;
            REQUIRE(once == expected);
            ++checked;
          } while (std::next_permutation(order.begin(), order.end()));
        }
  REQUIRE(checked > 5000);
}

TEST_CASE("the newer store wins, and between equals the later touch decides the expiry") {
  REQUIRE(after({value(80, 200, "old, touched late"), value(88, 0, "new")}) == "88/0/0/0 new");
  REQUIRE(after({value(80, 0, "a"), value(80, 96, "a")}) == "80/96/0/1900000096 a");
  REQUIRE(after({tombstone(88), value(80, 200, "a")}) == "88/0/0/0 tombstone");
  REQUIRE(after({tombstone(88), value(96, 0, "again")}) == "96/0/0/0 again");
}

TEST_CASE("'gone' voids what is older and nothing else") {
  record gone;
  gone.kind = record_kind::gone;
  gone.key = "k";
  gone.meta.stored = version(88);
  REQUIRE(after({value(80, 0, "a"), gone}) == "nothing");
  REQUIRE(after({value(80, 200, "a"), gone}) == "nothing");
  REQUIRE(after({value(88, 0, "a"), gone}) == "88/0/0/0 a");
  REQUIRE(after({value(96, 0, "a"), gone}) == "96/0/0/0 a");
  // And the older does not get back in behind it.
  REQUIRE(after({value(80, 0, "a"), gone, value(80, 0, "a")}) == "nothing");
  REQUIRE(after({value(80, 0, "a"), gone, value(80, 200, "a")}) == "nothing");
}

TEST_CASE("what was flushed does not come back by the wire") {
  service::store_options o;
  o.memory_bytes = 1 << 20;
  service::store s(o);
  s.apply_flush({version(100), version(100), 0}, now);
  s.apply(value(96, 0, "old"), now);
  REQUIRE(state(s) == "nothing");
  s.apply(value(104, 0, "new"), now);
  REQUIRE(state(s) == "104/0/0/0 new");
}
