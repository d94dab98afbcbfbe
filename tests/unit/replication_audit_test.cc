// The comparison of two nodes' data: what it finds, what it leaves alone, and its repair.
#include <algorithm>
#include <string>

#include "common/replication/audit_codec.h"
#include "tests/unit/catch.h"
#include "tests/unit/node_pair.h"

using namespace tandem;
using namespace tandem::testing;

namespace {

void meet(pair_of_nodes& p, int items, const std::string& value = "value") {
  p.start(0, false, 0);
  for (int i = 0; i < items; ++i) p.put(0, key(i), value + std::to_string(i));
  p.start(1, true, 1);
  p.pass(milliseconds(1500));
  REQUIRE(p.role(1) == role_state::slave);
}

// Puts a state into one node behind the link's back.
void plant(pair_of_nodes& p, int i, const std::string& k, const std::string& value, int seconds,
           std::uint32_t exptime = 0) {
  record r;
  r.key = k;
  r.value = value;
  r.meta.stored = version(version::ticks_at(p.now().wall + std::chrono::seconds(seconds)), 5);
  r.meta.exptime = exptime;
  REQUIRE(p.sides[i].data->apply(r, p.now()) == apply_status::applied);
}

// The command's result, from its answer.
audit_report audit(pair_of_nodes& p, int i, bool repair) {
  p.sides[i].answers.clear();
  p.step(i, event::command{7, repair ? "audit repair" : "audit"});
  for (int turn = 0; p.sides[i].answers.empty(); ++turn) {
    REQUIRE(turn < 1000);
    p.pass(milliseconds(10));
  }
  const effect::answer& a = p.sides[i].answers.front();
  const audit_report r = p.status(i).last_audit;
  REQUIRE(a.ok);
  REQUIRE(a.text.starts_with("compared " + std::to_string(r.compared) + "\ndiffering " +
                             std::to_string(r.differing) + "\n"));
  for (const std::string& sample : r.samples)
    REQUIRE(a.text.find("sample " + sample + "\n") != std::string::npos);
  return r;
}

}  // namespace

TEST_CASE("an audit of nodes that hold the same finds nothing, from either side") {
  pair_of_nodes p;
  meet(p, 30'000);
  for (int i = 0; i < 2; ++i) {
    const audit_report r = audit(p, i, false);
    REQUIRE(r.compared == 30'000);
    REQUIRE(r.differing == 0);
    REQUIRE(r.dropped == 0);
    REQUIRE(r.ended > wall_time());
  }
}

TEST_CASE("an audit counts the keys that differ, tells samples, and repairs by the merge rule") {
  pair_of_nodes p;
  meet(p, 20'000);
  plant(p, 1, key(7), "newer on the slave", 1);
  plant(p, 0, key(8), "newer on the master", 1);
  plant(p, 1, "only on the slave", "x", -5);
  plant(p, 0, "only on the master", "x", -5);
  for (int i = 0; i < 100; ++i) plant(p, 0, "many" + std::to_string(i), "x", -5);
  audit_report r = audit(p, 0, false);
  REQUIRE(r.differing == 104);
  REQUIRE(r.repaired == 0);
  REQUIRE(r.samples.size() == auditor::samples_max);
  REQUIRE(p.get(0, key(7)) == "value7");
  REQUIRE(p.logged(0, "104 differ"));

  r = audit(p, 1, true);
  REQUIRE(r.differing == 104);
  REQUIRE(r.repaired == 104);
  p.pass(milliseconds(500));
  for (int i = 0; i < 2; ++i) {
    REQUIRE(p.get(i, key(7)) == "newer on the slave");
    REQUIRE(p.get(i, key(8)) == "newer on the master");
    REQUIRE(p.get(i, "only on the slave") == "x");
    REQUIRE(p.get(i, "only on the master") == "x");
  }
  REQUIRE(audit(p, 0, false).differing == 0);
  REQUIRE(p.sides[0].data->digest(p.now()).digest == p.sides[1].data->digest(p.now()).digest);
}

TEST_CASE("what is about to expire is left out, by how far the clocks are apart") {
  pair_of_nodes p;
  p.clock_offset[1] = GENERATE(0, 20'000'000, -20'000'000);
  const std::uint32_t apart = p.clock_offset[1] == 0 ? 0 : 20;
  meet(p, 100);
  const std::uint32_t second = unix_seconds(p.now().wall);
  for (int i = 0; i < 100; ++i) {
    const std::string name = "mortal" + std::to_string(i);
    plant(p, i % 2, name, "x", -5, second + apart + 1);
    plant(p, i % 2, "longer" + name, "x", -5, second + apart + 8);
  }
  const audit_report r = audit(p, 0, false);
  REQUIRE(r.differing == 100);
  for (const std::string& sample : r.samples) REQUIRE(sample.starts_with("longer"));
}

TEST_CASE("one version with two contents is a difference") {
  pair_of_nodes p;
  meet(p, 100);
  const std::string name = key(3);
  const service::hashed_key k(name);
  record r;
  r.key = k.key;
  r.meta = p.sides[0].data->lock(k, p.now()).find(k, false)->meta;
  r.meta.flags = 99;
  r.value = "value3";
  REQUIRE(p.sides[1].data->apply(r, p.now()) == apply_status::applied);
  const audit_report found = audit(p, 0, true);
  REQUIRE(found.differing == 1);
  REQUIRE(found.samples == std::vector<std::string>{key(3)});
  p.pass(milliseconds(300));
  REQUIRE(audit(p, 0, false).differing == 0);
}

TEST_CASE("what changes or is evicted while it is looked at is no difference") {
  pair_of_nodes p;
  p.configure = [](int i, service::store_options& so, node_options&) {
    so.shards = 1;
    so.memory_bytes = std::size_t{i == 0 ? 8U : 2U} << 20;  // the slave keeps a part
  };
  meet(p, 20'000, std::string(150, 'v'));
  REQUIRE(p.sides[1].data->digest(p.now()).items < 20'000);
  const auto before = p.status(0).audits;
  p.step(0, event::command{7, "audit"});
  for (int turn = 0; p.status(0).audits == before; ++turn) {
    REQUIRE(turn < 1000);
    for (int i = 0; i < 50; ++i) p.put(turn % 2, key((turn * 50 + i) % 20'000), "changed");
    p.remove(turn % 2, key(turn));
    p.pass(milliseconds(10));
  }
  const audit_report r = p.status(0).last_audit;
  REQUIRE(r.differing == 0);
  REQUIRE(r.dropped > 0);
}

TEST_CASE("a bucket with more keys than a frame holds is split") {
  pair_of_nodes p;
  p.configure = [](int, service::store_options& so, node_options&) {
    so.memory_bytes = std::size_t{64} << 20;
  };
  p.start(0, false, 0);
  const std::string padding(230, 'k');
  for (int i = 0; i < 3000; ++i) p.put(0, padding + key(i), "v");
  p.start(1, true, 1);
  p.pass(milliseconds(1500));
  plant(p, 1, padding + "lone", "x", -5);
  const audit_report r = audit(p, 0, true);
  REQUIRE(r.compared == 3000);
  REQUIRE(r.differing == 1);
  p.pass(milliseconds(300));
  REQUIRE(p.get(0, padding + "lone") == "x");
}

TEST_CASE("a master audits by itself at its interval; a slave does not") {
  pair_of_nodes p;
  p.configure = [](int, service::store_options&, node_options& no) {
    no.audit_interval = milliseconds(1000);
  };
  meet(p, 100);
  p.pass(milliseconds(5000));
  REQUIRE(p.status(0).audits >= 4);
  REQUIRE(p.status(0).audits <= 6);
  REQUIRE(p.status(1).audits == 0);
}

TEST_CASE("audit frames that make no sense are refused") {
  std::string_view none;
  REQUIRE_FALSE(take_audit_head(none));
  audit_head head;
  head.kind = audit_kind::digests;
  head.bits = 5;
  head.first = 31;
  head.count = 1;
  std::string bytes = encode(head);
  std::string_view good = bytes;
  REQUIRE(take_audit_head(good));
  REQUIRE(good.empty());
  const auto refused = [](audit_head wrong) {
    const std::string text = encode(wrong);
    std::string_view view = text;
    return !take_audit_head(view);
  };
  audit_head wrong = head;
  wrong.first = 32;
  REQUIRE(refused(wrong));
  wrong = head;
  wrong.bits = audit_bits_max + 1;
  REQUIRE(refused(wrong));
  wrong = head;
  wrong.count = audit_buckets_max + 1;
  REQUIRE(refused(wrong));
  bytes[0] = 9;
  std::string_view unknown = bytes;
  REQUIRE_FALSE(take_audit_head(unknown));
  std::string_view empty_key("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 17);
  REQUIRE_FALSE(take_audit_item(empty_key));
}

TEST_CASE(
    "an audit without a peer, with a wrong word or beside another is refused; a lost link ends "
    "it") {
  pair_of_nodes p;
  p.start(0, false, 0);
  const auto refused = [&p](const std::string& line) {
    p.sides[0].answers.clear();
    p.step(0, event::command{7, line});
    return p.sides[0].answers.size() == 1 && !p.sides[0].answers[0].ok;
  };
  REQUIRE(refused("audit"));
  for (int i = 0; i < 5000; ++i) p.put(0, key(i), "v");
  p.start(1, true, 1);
  p.pass(milliseconds(1500));
  REQUIRE(refused("audit mend"));
  p.cut = true;
  p.sides[0].answers.clear();
  p.step(0, event::command{8, "audit"});
  REQUIRE(refused("audit repair"));
  p.sides[0].answers.clear();
  p.pass(milliseconds(1500));
  REQUIRE(p.sides[0].answers.size() == 1);
  REQUIRE(p.sides[0].answers[0].id == 8);
  REQUIRE_FALSE(p.sides[0].answers[0].ok);
}
