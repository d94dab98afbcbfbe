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

std::string state_of(service::store& s) {
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
  return state_of(s);
}

// A state that owns nothing: what a node holds, and what it would send of it.
engine::item_view held(const record& r) {
  engine::item_view item;
  item.key = r.key;
  item.meta = r.meta;
  item.value = r.value;
  return item;
}

// What a node holds after it held `a` and `b` came.
record join(const record& a, const record& b) {
  switch (replication::merge(held(a), version{}, b)) {
    case replication::merge_verdict::take:
      return b;
    case replication::merge_verdict::take_touch: {
      record r = a;
      r.meta.touched = b.meta.touched;
      r.meta.exptime = b.meta.exptime;
      r.meta.marks = b.meta.marks;
      return r;
    }
    default:
      return a;
  }
}

bool same(const record& a, const record& b) {
  return a.kind == b.kind && a.meta == b.meta && a.value == b.value;
}

// States of three store versions, each with the touches, contents, marks and CAS uniques that it
// may have (more than one content only by a broken clock), and tombstones.
std::vector<record> every_state() {
  std::vector<record> all;
  for (const std::uint64_t stored : {80, 88, 96}) {
    for (const std::uint64_t touched : {0, 104, 112})
      for (const std::string_view bytes : {"a", "b", "longer"})
        for (const std::uint32_t flags : {0U, 5U})
          for (const std::uint8_t marks :
               {std::uint8_t{0}, engine::mark::stale, engine::mark::own_cas}) {
            record r = value(stored, touched, bytes, flags);
            r.meta.marks = marks;
            if (r.meta.has_own_cas()) r.meta.cas = 7;
            all.push_back(r);
          }
    all.push_back(tombstone(stored));
  }
  return all;
}

}  // namespace

TEST_CASE("the merge rule is commutative, associative and idempotent on every three states") {
  const std::vector<record> states = every_state();
  std::size_t triples = 0, wrong = 0;
  for (const record& a : states) {
    wrong += same(join(a, a), a) ? 0 : 1;
    for (const record& b : states) {
      const record ab = join(a, b);
      wrong += same(ab, join(b, a)) ? 0 : 1;
      wrong += same(join(ab, b), ab) && same(join(ab, a), ab) ? 0 : 1;
      for (const record& c : states) {
        wrong += same(join(ab, c), join(a, join(b, c))) ? 0 : 1;
        ++triples;
      }
    }
  }
  REQUIRE(wrong == 0);
  REQUIRE(triples > 4'000'000);
}

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
  // A state that was touched is older than a later store, whenever it was touched.
  record expired = gone;
  expired.meta.touched = version(120);
  REQUIRE(after({value(96, 0, "a"), expired}) == "96/0/0/0 a");
  REQUIRE(after({value(88, 104, "a"), expired}) == "nothing");
  REQUIRE(after({value(88, 120, "a"), expired}) == "88/120/0/1900000120 a");
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
  REQUIRE(state_of(s) == "nothing");
  s.apply(value(104, 0, "new"), now);
  REQUIRE(state_of(s) == "104/0/0/0 new");
}
