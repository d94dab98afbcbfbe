#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/service/store.h"
#include "tests/unit/catch.h"

using namespace tandem;
using namespace tandem::service;
using replication::apply_status;
using replication::record;
using replication::record_kind;

namespace {

instant at(double seconds) {
  const auto us = std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6));
  return {wall_time(std::chrono::seconds(1'800'000'000) + us), steady_time(us)};
}

std::unique_ptr<store> make(unsigned node, std::size_t shards = 4,
                            std::size_t memory = std::size_t{32} << 20) {
  store_options o;
  o.shards = shards;
  o.memory_bytes = memory;
  o.journal_bytes = 1 << 20;
  auto s = std::make_unique<store>(o);
  s->set_node_id(node, at(0));
  return s;
}

// A look that does not count as an access: what is looked at may still be evicted.
std::string get(store& s, const std::string& key, instant now) {
  const hashed_key k(key);
  auto locked = s.lock(k, now);
  const auto item = locked.find(k, false);
  return item ? std::string(item->value) : "(miss)";
}

version put(store& s, const std::string& key, const std::string& value, instant now) {
  const hashed_key k(key);
  return s.lock(k, now).put(k, 0, 0, value).stored;
}

// A record that owns its bytes: a sink is called under the lock of the store it reads, where no
// other store may be touched.
struct parcel {
  std::string key, value;
  record r;
  explicit parcel(const record& from) : key(from.key), r(from) {
    while (value.size() < from.value_size()) value += from.piece_at(value.size());
    r.large.reset();
  }
  record unwrap() const {
    record copy = r;
    copy.key = key;
    copy.value = value;
    return copy;
  }
};

// What `from` has journaled since `positions`, given to `to`.
void ship(store& from, store& to, std::vector<replication::journal::position>& positions,
          instant now) {
  std::vector<parcel> parcels;
  for (std::size_t shard = 0; shard < from.shard_count(); ++shard)
    positions[shard] = from.read_journal(shard, positions[shard], now, [&](const record& r) {
      parcels.emplace_back(r);
      return true;
    });
  for (const parcel& p : parcels) to.apply(p.unwrap(), now);
}

std::vector<replication::journal::position> follow(store& s) {
  std::vector<replication::journal::position> positions;
  for (std::size_t shard = 0; shard < s.shard_count(); ++shard)
    positions.push_back(s.start_journal(shard));
  return positions;
}

}  // namespace

TEST_CASE("shards: four to a thread, 16 MiB each at least, 256 at most, a power of two") {
  constexpr std::size_t mib = std::size_t{1} << 20;
  REQUIRE(shard_count_for(4, 64 * mib, mib) == 4);
  REQUIRE(shard_count_for(4, 1024 * mib, mib) == 16);
  REQUIRE(shard_count_for(3, 1024 * mib, mib) == 16);
  REQUIRE(shard_count_for(1, 1 * mib, mib) == 1);
  REQUIRE(shard_count_for(1, 65536 * mib, mib) == 64);
  REQUIRE(shard_count_for(512, std::size_t{1} << 40, mib) == 256);
  REQUIRE(shard_count_for(4, 1024 * mib, 64 * mib) == 4);
}

TEST_CASE("every store and delete gets a higher version, whatever the clock does") {
  const auto s = make(3);
  const version a = put(*s, "k", "1", at(10));
  const version b = put(*s, "k", "2", at(10));
  const version c = put(*s, "k", "3", at(2));
  REQUIRE(a < b);
  REQUIRE(b < c);
  REQUIRE(a.node() == 3);
}

TEST_CASE("a touch keeps the CAS unique and changes the expiry, here and at the peer") {
  const auto a = make(1);
  const auto b = make(2);
  auto positions = follow(*a);
  const hashed_key k("k");
  const version v = a->lock(k, at(1)).put(k, 7, 0, std::string_view("x")).stored;
  ship(*a, *b, positions, at(1));
  REQUIRE(a->lock(k, at(2)).touch(k, unix_seconds(at(5).wall)));
  ship(*a, *b, positions, at(2));
  for (store* s : {a.get(), b.get()}) {
    REQUIRE(s->lock(k, at(4)).find(k)->meta.stored == v);
    REQUIRE(get(*s, "k", at(5)) == "(miss)");
  }
}

TEST_CASE("a hot key ships once however often it changed") {
  const auto a = make(1);
  auto positions = follow(*a);
  for (int i = 0; i < 1000; ++i) put(*a, "hot", std::to_string(i), at(1));
  int shipped = 0;
  std::string value;
  for (std::size_t shard = 0; shard < a->shard_count(); ++shard)
    a->read_journal(shard, positions[shard], at(2), [&](const record& r) {
      ++shipped;
      value = r.value;
      return true;
    });
  REQUIRE(shipped == 1);
  REQUIRE(value == "999");
}

TEST_CASE("a delete leaves a tombstone until the peer has confirmed it") {
  const auto a = make(1);
  auto positions = follow(*a);
  const hashed_key k("k");
  put(*a, "k", "x", at(1));
  a->lock(k, at(1)).remove(k);
  REQUIRE(get(*a, "k", at(1)) == "(miss)");
  for (int i = 0; i < 100; ++i) a->housekeep(at(2));
  REQUIRE(a->statistics().tombstones == 1);
  for (std::size_t shard = 0; shard < a->shard_count(); ++shard)
    a->confirm(shard, a->journal_end(shard), true);
  for (int i = 0; i < 100; ++i) a->housekeep(at(3));
  REQUIRE(a->statistics().tombstones == 0);
  REQUIRE(a->empty());
}

TEST_CASE("flush_all hides what is there, not what comes after it in the same microsecond") {
  const auto s = make(1);
  put(*s, "before", "x", at(1));
  s->flush_all(0, at(1));
  put(*s, "after", "y", at(1));
  REQUIRE(get(*s, "before", at(1)) == "(miss)");
  REQUIRE(get(*s, "after", at(1)) == "y");
}

TEST_CASE("a delayed flush_all takes everything stored before its moment, on both nodes") {
  const auto a = make(1);
  const auto b = make(2);
  put(*a, "before", "x", at(1));
  a->flush_all(unix_seconds(at(5).wall), at(1));
  put(*a, "between", "y", at(3));
  b->apply_flush(a->flush(), at(3));
  put(*b, "between2", "z", at(4));
  REQUIRE(get(*a, "before", at(4)) == "x");
  REQUIRE(get(*b, "between2", at(4)) == "z");
  REQUIRE(get(*a, "before", at(5)) == "(miss)");
  REQUIRE(get(*a, "between", at(5)) == "(miss)");
  REQUIRE(get(*b, "between2", at(5)) == "(miss)");
  put(*a, "after", "w", at(6));
  REQUIRE(get(*a, "after", at(6)) == "w");
  REQUIRE(a->flush().watermark == b->flush().watermark);
}

TEST_CASE("a later flush_all replaces a pending one, in whatever order the nodes learn of them") {
  const auto a = make(1);
  const auto b = make(2);
  a->flush_all(unix_seconds(at(9).wall), at(1));
  const auto first = a->flush();
  a->flush_all(0, at(2));
  b->apply_flush(a->flush(), at(3));
  b->apply_flush(first, at(3));
  REQUIRE(b->flush() == a->flush());
  REQUIRE(b->flush().pending_at == 0);
}

TEST_CASE("what is evicted before the peer heard of it voids the peer's older state") {
  const auto a = make(1, 1, 1 << 20);
  const auto b = make(2, 1, std::size_t{32} << 20);
  auto positions = follow(*a);
  put(*a, "k", "old", at(1));
  ship(*a, *b, positions, at(1));
  a->confirm(0, positions[0], true);
  REQUIRE(get(*b, "k", at(1)) == "old");
  put(*a, "k", "new", at(2));
  for (int i = 0; get(*a, "k", at(3)) != "(miss)"; ++i)
    put(*a, "filler" + std::to_string(i), std::string(10'000, 'f'), at(3));
  ship(*a, *b, positions, at(3));
  REQUIRE(get(*b, "k", at(3)) == "(miss)");
}

TEST_CASE("a touch of what is lost then does not void a later store of the peer's") {
  const auto a = make(1);
  const auto b = make(2);
  auto to_b = follow(*a);
  auto to_a = follow(*b);
  const hashed_key k("k");
  const version old = put(*a, "k", "old", at(1));
  ship(*a, *b, to_b, at(1));
  put(*a, "k", "new", at(2));
  REQUIRE(b->lock(k, at(3)).touch(k, unix_seconds(at(100).wall)));
  record lost;
  lost.kind = record_kind::gone;
  lost.key = "k";
  lost.meta.stored = version(old.word() + 8);
  REQUIRE(b->apply(lost, at(3)) == apply_status::applied);
  ship(*b, *a, to_a, at(5));
  REQUIRE(get(*a, "k", at(5)) == "new");
  ship(*a, *b, to_b, at(5));
  REQUIRE(get(*b, "k", at(5)) == "new");
}

TEST_CASE("an eviction of what the peer has leaves the peer's copy alone") {
  const auto a = make(1, 1, 1 << 20);
  const auto b = make(2, 1, std::size_t{32} << 20);
  auto positions = follow(*a);
  put(*a, "k", "shared", at(1));
  ship(*a, *b, positions, at(1));
  a->confirm(0, positions[0], true);
  for (int i = 0; get(*a, "k", at(3)) != "(miss)"; ++i) {
    put(*a, "filler" + std::to_string(i), std::string(10'000, 'f'), at(3));
    ship(*a, *b, positions, at(3));
    a->confirm(0, positions[0], true);
  }
  REQUIRE(get(*b, "k", at(3)) == "shared");
  // And what the other still has does not come back where it was evicted.
  engine::cursor cursor;
  std::vector<parcel> parcels;
  while (!cursor.done)
    b->scan(0, cursor, 100, {}, at(4), [&](const record& r) {
      if (r.key == "k") parcels.emplace_back(r);
      return true;
    });
  REQUIRE(parcels.size() == 1);
  REQUIRE(a->apply(parcels[0].unwrap(), at(4)) == apply_status::refused_floor);
  REQUIRE(get(*a, "k", at(4)) == "(miss)");
}

TEST_CASE("a record too large for this node voids the older state it holds") {
  store_options o;
  o.memory_bytes = std::size_t{32} << 20;
  o.item_size_max = 4096;
  store s(o);
  s.set_node_id(1, at(0));
  put(s, "k", "old", at(1));
  const std::string value(5000, 'v');
  record r;
  r.key = "k";
  r.value = value;
  r.meta.stored = version(version::ticks_at(at(2).wall), 2);
  REQUIRE(s.apply(r, at(2)) == apply_status::no_room);
  REQUIRE(get(s, "k", at(2)) == "(miss)");
}

TEST_CASE("a CAS unique of the client's is seen by clients and orders nothing") {
  const auto s = make(1);
  const hashed_key k("k");
  auto shard = s->lock(k, at(1));
  const auto first = shard.put(k, 3, 0, "v", engine::mark::binary_key, UINT64_MAX);
  REQUIRE(first.cas_unique == UINT64_MAX);
  REQUIRE(shard.find(k)->meta.cas_unique() == UINT64_MAX);
  REQUIRE(shard.find(k)->meta.stored == first.stored);

  // A touch keeps it, with other marks or without.
  REQUIRE(shard.touch(k, 0, engine::mark::win_sent));
  REQUIRE(shard.find(k)->meta.cas_unique() == UINT64_MAX);
  REQUIRE(shard.find(k)->meta.marks == (engine::mark::win_sent | engine::mark::own_cas));
  REQUIRE(shard.touch(k, 0));
  REQUIRE(shard.find(k)->meta.marks == (engine::mark::win_sent | engine::mark::own_cas));

  // A store without one, and a renewal, give it up.
  const auto renewed = shard.renew(k, 0, engine::mark::stale);
  REQUIRE(renewed.stored > first.stored);
  REQUIRE(renewed.cas_unique == renewed.stored.word());
  const auto item = shard.find(k);
  REQUIRE(item->value == "v");
  REQUIRE(item->meta.flags == 3);
  REQUIRE(item->meta.marks == engine::mark::stale);
  REQUIRE(item->meta.cas_unique() == renewed.stored.word());
  REQUIRE(shard.renew(k, 0, 0, 0).cas_unique == 0);
  REQUIRE(shard.find(k)->meta.cas_unique() == 0);
  shard.remove(k);
  REQUIRE(shard.renew(k, 0, 0).status != engine::store_status::stored);
}

TEST_CASE("where positions are promises a key that changes often is given once, and early") {
  const auto s = make(1, 1);
  s->set_exact();
  auto at_entry = follow(*s).front();
  const auto begin = at_entry;
  constexpr int keys = 5, changes = 200;
  for (int i = 0; i < changes; ++i)
    for (int k = 0; k < keys; ++k) put(*s, "key" + std::to_string(k), std::to_string(i), at(1));
  // One at a time, as when every frame holds one.
  std::vector<std::string> given;
  const auto read_one = [&] {
    at_entry = s->read_journal(0, at_entry, at(2), [&](const record& r) {
      given.push_back(std::string(r.key) + "=" + std::string(r.value));
      return false;
    });
  };
  const std::vector<std::string> all{"key0=199", "key1=199", "key2=199", "key3=199", "key4=199"};
  for (int k = 0; k < keys; ++k) read_one();
  REQUIRE(given == all);
  REQUIRE(at_entry == begin + keys);
  // A change in the middle is given where the next entry of its key stands.
  put(*s, "key3", "new", at(3));
  read_one();
  REQUIRE(given.back() == "key3=new");
  REQUIRE(at_entry == begin + keys + 4);
  read_one();
  REQUIRE(given.size() == keys + 1);
  REQUIRE(at_entry == s->journal_end(0));
  // What was under way is lost.
  at_entry = begin + 2;
  given.clear();
  for (int k = 0; k < keys; ++k) read_one();
  REQUIRE(given ==
          std::vector<std::string>{"key2=199", "key3=new", "key4=199", "key0=199", "key1=199"});
}

TEST_CASE("the digest tells equal contents from different ones, whatever the shard counts") {
  const auto a = make(1, 1);
  const auto b = make(2, 4);
  auto positions = follow(*a);
  for (int i = 0; i < 500; ++i) put(*a, "key" + std::to_string(i), std::string(i * 30, 'v'), at(1));
  ship(*a, *b, positions, at(1));
  REQUIRE(a->digest(at(2)).items == 500);
  REQUIRE(a->digest(at(2)).digest == b->digest(at(2)).digest);
  put(*b, "key7", "changed", at(3));
  REQUIRE(a->digest(at(4)).digest != b->digest(at(4)).digest);
}
