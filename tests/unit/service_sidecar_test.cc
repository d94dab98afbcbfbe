// The index of a backend's data: what clients change is told to the peer with the values that the
// backend has, and what the peer sends is written there, in an order that loses nothing.
#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "common/protocol/parser.h"
#include "common/service/sidecar.h"
#include "tests/unit/catch.h"
#include "tests/unit/no_waker.h"

using namespace tandem;
using namespace tandem::service;
using replication::record;
using replication::record_kind;
using test::no_waker;

namespace {

const instant today{wall_time{std::chrono::seconds(1795697555)}, {}};

struct told {
  record_kind kind;
  std::string key, value;
  std::uint64_t cas;
  friend bool operator==(const told&, const told&) = default;
};

// A sidecar whose backend is the test.
class one_sidecar {
 public:
  one_sidecar()
      : lane_(0),
        index_({.memory_bytes = 32 << 20}),
        sidecar_(index_, lanes_of(), [this] { ++wakes; }) {
    lane_.set_waker(waker_);
    lane_.open(true);
    index_.set_node_id(1, today);
    from_ = sidecar_.start_journal(0);
  }
  one_sidecar(const one_sidecar&) = delete;
  one_sidecar& operator=(const one_sidecar&) = delete;
  // What still waits is answered, as by a connection that closes.
  ~one_sidecar() { lose(); }

  // What was sent to the backend since the last call.
  std::string sent() {
    byte_buffer out;
    lane_.take_output(out);
    return std::string(out.view());
  }
  // A client's command goes there.
  void command(const std::string& line, const std::string& block = {}) {
    const protocol::request r = protocol::parse_line(line);
    backend::expected e;
    e.what = r.what;
    e.hash = hash_key(r.key);
    backend::lane::access with(lane_);
    e.reply = backend::write_request(with.out(), r, block, {});
    with.add(e, r.key);
  }
  void reply(std::string_view text) {
    const std::span<char> room = lane_.prepare();
    std::copy(text.begin(), text.end(), room.begin());
    REQUIRE(lane_.received(
        text.size(), [&](backend::expected& e, std::string_view key, std::string_view answer) {
          if (e.reply.what != backend::change::none) (void)sidecar_.record(e, key, answer, today);
          if (e.who != nullptr) e.who->answered(e, answer);
        }));
    sidecar_.retry(0, today);
  }
  void change(const std::string& line, std::string_view answer, const std::string& block = {}) {
    command(line, block);
    (void)sent();
    reply(answer);
  }
  // The expiry that the journal tells of the key, which the backend says it has for `ttl` seconds
  // at that moment.
  std::uint32_t told_exptime(const std::string& ttl, instant then) {
    std::uint32_t exptime = 0;
    const auto read = [&] {
      from_ = sidecar_.read_journal(0, from_, then, [&](const record& r) {
        exptime = r.meta.exptime;
        return true;
      });
    };
    read();
    (void)sent();
    reply("VA 1 f0 t" + ttl + " c5\r\nx\r\n");
    read();
    return exptime;
  }
  // What the journal gives today.
  std::vector<told> journal() {
    std::vector<told> all;
    from_ = sidecar_.read_journal(0, from_, today, [&](const record& r) {
      all.push_back({r.kind, std::string(r.key), std::string(r.value), r.meta.cas_unique()});
      return true;
    });
    return all;
  }
  void apply(std::string_view key, std::string_view value, std::uint64_t word,
             record_kind kind = record_kind::value, std::uint32_t exptime = 0) {
    record r;
    r.kind = kind;
    r.meta.exptime = exptime;
    r.key = key;
    r.value = value;
    r.meta.stored = version(word);
    (void)sidecar_.apply(r, today);
  }

  // The connection is lost, or hangs; returns how many requests waited.
  unsigned lose(bool hangs = false) {
    unsigned count = 0;
    const auto lost = [&](backend::expected& e, std::string_view) {
      ++count;
      if (e.who != nullptr) e.who->answered(e, {});
    };
    if (hangs)
      lane_.stall(lost);
    else
      lane_.close(lost);
    return count;
  }
  void open() { lane_.open(true); }
  backend::clock& clock() { return lanes_.clock(); }
  bool drained() const { return lane_.drained(); }

  unsigned wakes = 0;

 private:
  backend::lanes& lanes_of() {
    lanes_.add(lane_);
    return lanes_;
  }
  no_waker waker_;
  backend::lane lane_;
  backend::lanes lanes_;

 public:
  store index_;
  sidecar sidecar_;

 private:
  replication::journal::position from_ = 0;
};

std::uint64_t later() {
  return version(version::ticks_at(today.wall) + 60'000'000, 2).word();
}

}  // namespace

TEST_CASE("a change is told to the peer once the backend has given its value") {
  one_sidecar f;
  f.change("set k 5 0 2\r\n", "STORED\r\n", "hi\r\n");
  REQUIRE(f.journal().empty());
  REQUIRE(f.sent() == "mg k v f t c u\r\n");
  REQUIRE(f.journal().empty());  // it does not ask twice
  REQUIRE(f.sent().empty());
  f.reply("VA 2 f5 t-1 c77\r\nhi\r\n");
  REQUIRE(f.wakes == 1);
  REQUIRE(f.journal() == std::vector<told>{{record_kind::value, "k", "hi", 77}});
  REQUIRE(f.journal().empty());
  f.change("set k 5 0 2\r\n", "STORED\r\n", "ho\r\n");
  (void)f.journal();
  REQUIRE(f.sent() == "mg k v f t c u\r\n");
}

TEST_CASE("what changed nothing is not told, and what may have changed something is") {
  one_sidecar f;
  f.change("add k 0 0 1\r\n", "NOT_STORED\r\n", "x\r\n");
  REQUIRE(f.journal().empty());
  REQUIRE(f.sent().empty());
  f.change("set k 0 0 1\r\n", "SERVER_ERROR out of memory storing object\r\n", "x\r\n");
  (void)f.journal();
  REQUIRE(f.sent() == "mg k v f t c u\r\n");
  f.reply("EN\r\n");
  REQUIRE(f.journal() ==
          std::vector<told>{{record_kind::gone, "k", "", f.index_.journal_version(0, 0).word()}});
}

TEST_CASE("a value that was fetched before its key was deleted does not go out behind the delete") {
  one_sidecar f;
  f.change("set k 0 0 1\r\n", "STORED\r\n", "x\r\n");
  (void)f.journal();
  (void)f.sent();
  f.reply("VA 1 f0 t-1 c5\r\nx\r\n");
  f.change("delete k\r\n", "DELETED\r\n");
  for (const told& each : f.journal()) REQUIRE(each.kind == record_kind::tombstone);
}

TEST_CASE("what the peer sends is written to the backend, and an older state is not") {
  one_sidecar f;
  f.apply("k", "hi", later());
  REQUIRE(f.sent() == "ms k 2 T0 F0 E" + std::to_string(later()) + " q\r\nhi\r\nmn\r\n");
  f.reply("MN\r\n");
  f.apply("k", "old", later() - 8);
  f.apply("k", "hi", later());
  REQUIRE(f.sent().empty());
  f.apply("k", "", later() + 8, record_kind::tombstone);
  REQUIRE(f.sent() == "md k q\r\nmn\r\n");
  f.reply("MN\r\n");
  f.apply("k", "hi", later());
  REQUIRE(f.sent().empty());
  REQUIRE(f.journal().empty());
}

TEST_CASE("the peer's state waits for a client's change of the key, and loses to a later one") {
  one_sidecar f;
  f.command("set k 0 0 1\r\n", "x\r\n");
  (void)f.sent();
  f.apply("k", "older", version(version::ticks_at(today.wall) - 60'000'000, 2).word());
  REQUIRE(f.sent().empty());
  f.reply("STORED\r\n");
  REQUIRE(f.sent().empty());

  f.command("add k 0 0 1\r\n", "x\r\n");
  (void)f.sent();
  f.apply("k", "newer", later());
  REQUIRE(f.sent().empty());
  f.reply("NOT_STORED\r\n");
  REQUIRE(f.sent() == "ms k 5 T0 F0 E" + std::to_string(later()) + " q\r\nnewer\r\nmn\r\n");
}

TEST_CASE("what the backend did not say it has written is removed there when it is back") {
  one_sidecar f;
  REQUIRE(f.sidecar_.settle_doubts());
  f.apply("known", "x", later());
  (void)f.sent();
  f.reply("MN\r\n");
  f.apply("sent", "x", later());
  (void)f.sent();
  f.apply("not", "x", later());
  REQUIRE(f.lose() == 2);
  f.apply("refused", "", later(), record_kind::tombstone);
  f.sidecar_.forget(today);
  f.open();
  REQUIRE_FALSE(f.sidecar_.settle_doubts());
  const std::string removed = "md sent q\r\nmd not q\r\nmd refused q\r\nmn\r\n";
  REQUIRE(f.sent() == removed);
  REQUIRE_FALSE(f.sidecar_.settle_doubts());
  REQUIRE(f.sent().empty());
  // Which of them are done is known of all or of none.
  REQUIRE(f.lose() == 1);
  f.open();
  REQUIRE_FALSE(f.sidecar_.settle_doubts());
  REQUIRE(f.sent() == removed);
  f.reply("MN\r\n");
  REQUIRE(f.sidecar_.settle_doubts());
}

TEST_CASE("what the peer sent is kept when the backend has answered, on whichever way it went") {
  one_sidecar f;
  const auto all = f.sidecar_.kept();
  const auto first = f.sidecar_.applied();
  REQUIRE(first < all);
  f.apply("a", "1", later());
  const auto one = f.sidecar_.applied();
  REQUIRE(f.sidecar_.kept() == one);
  // One that waits for a client's change of its key, and one behind it.
  f.command("set b 0 0 1\r\n", "x\r\n");
  f.apply("b", "2", later() + 800);
  const auto two = f.sidecar_.applied();
  f.apply("c", "3", later());
  const auto three = f.sidecar_.applied();
  (void)f.sent();
  REQUIRE(f.sidecar_.kept() == one);
  const unsigned before = f.wakes;
  f.reply("MN\r\n");
  REQUIRE(f.wakes == before + 1);
  REQUIRE(f.sidecar_.kept() == two);
  f.reply("STORED\r\n");  // the client's: now b is written, behind c
  REQUIRE(f.sidecar_.kept() == two);
  f.reply("MN\r\n");
  REQUIRE(f.sidecar_.kept() == two);
  REQUIRE(f.sent().starts_with("ms b "));
  f.reply("MN\r\n");
  REQUIRE(f.sidecar_.kept() > three);
  REQUIRE(f.wakes > before + 1);
}

TEST_CASE("too many doubts, or one about a flush, take all away") {
  one_sidecar f;
  f.lose();
  for (int i = 0; i < 70000; ++i) f.apply("k" + std::to_string(i), "x", later());
  f.open();
  REQUIRE_FALSE(f.sidecar_.settle_doubts());
  REQUIRE(f.sent() == "flush_all\r\nmn\r\n");
  f.lose();
  f.open();
  REQUIRE_FALSE(f.sidecar_.settle_doubts());
  REQUIRE(f.sent() == "flush_all\r\nmn\r\n");
  f.reply("OK\r\nMN\r\n");
  REQUIRE(f.sidecar_.settle_doubts());
}

TEST_CASE(
    "a lane that hangs receives what is owed to it, for nobody, and drops what was not sent") {
  one_sidecar f;
  f.command("set a 0 0 1\r\n", "x\r\n");
  (void)f.sent();
  f.command("set b 0 0 1\r\n", "x\r\n");
  REQUIRE(f.lose(true) == 2);
  REQUIRE_FALSE(f.drained());
  REQUIRE(f.sent().empty());
  const auto before = f.index_.mutations();
  f.reply("STORED\r\n");
  REQUIRE(f.drained());
  REQUIRE(f.index_.mutations() == before);
  f.open();
  f.change("set c 0 0 1\r\n", "STORED\r\n", "x\r\n");
  REQUIRE(f.index_.mutations() != before);
}

TEST_CASE("what a backend held already is older than everything") {
  one_sidecar f;
  f.sidecar_.adopt({.key = "old", .cas = 17}, today);
  f.sidecar_.adopt({.key = "gone", .exptime = 1795697000, .cas = 18}, today);
  REQUIRE(f.index_.items() == 1);
  engine::cursor at;
  std::vector<told> all;
  const auto scan = [&] {
    f.sidecar_.scan(0, at, 1000, {}, today, [&](const record& r) {
      all.push_back({r.kind, std::string(r.key), std::string(r.value), r.meta.cas_unique()});
      return true;
    });
  };
  scan();
  REQUIRE(at.position == 0);
  REQUIRE(f.sent() == "mg old v f t c u\r\n");
  f.reply("VA 1 f0 t-1 c17\r\nv\r\n");
  while (!at.done) scan();
  REQUIRE(all == std::vector<told>{{record_kind::value, "old", "v", 17}});
  f.apply("old", "new", version(std::uint64_t{1} << 20).word());
  REQUIRE(f.sent().starts_with("ms old 3 "));
  f.sidecar_.forget(today);
  REQUIRE(f.index_.items() == 0);
}

TEST_CASE("what expires waits for the clock, and goes to the backend by that") {
  using std::chrono::milliseconds;
  one_sidecar f;
  const std::uint32_t second = unix_seconds(today.wall);
  f.clock().settle(false);
  f.apply("never", "x", later());
  REQUIRE(f.sent().starts_with("ms never 1 T0 "));
  f.reply("MN\r\n");
  f.apply("later", "x", later(), record_kind::value, second + 100);
  const auto one = f.sidecar_.applied();
  f.apply("gone", "", later(), record_kind::tombstone);
  REQUIRE(f.sent() == "md gone q\r\nmn\r\n");
  f.reply("MN\r\n");
  REQUIRE(f.sidecar_.kept() == one);
  f.sidecar_.clock_settled(today);  // not yet
  REQUIRE(f.sent().empty());
  f.clock().set(milliseconds(1600));
  f.clock().settle(true);
  f.sidecar_.clock_settled(today);
  REQUIRE(f.sent().starts_with("ms later 1 T" + std::to_string(second + 98) + " "));
  REQUIRE(f.sidecar_.kept() == one);
  f.reply("MN\r\n");
  REQUIRE(f.sidecar_.kept() > one);

  // What waited for it when the backend was lost may be as it was before there.
  f.clock().settle(false);
  f.apply("lost", "x", later(), record_kind::value, second + 100);
  f.lose();
  f.sidecar_.forget(today);
  f.open();
  REQUIRE_FALSE(f.sidecar_.settle_doubts());
  REQUIRE(f.sent() == "md lost q\r\nmn\r\n");
}

TEST_CASE("an expiry is told as the backend counts, and near its ticks as the index knows it") {
  using std::chrono::milliseconds;
  one_sidecar f;
  const std::uint32_t second = unix_seconds(today.wall);
  const auto after = [](int ms) { return instant{today.wall + milliseconds(ms), {}}; };
  f.clock().set(milliseconds(300));
  f.change("set k 0 0 1\r\n", "STORED\r\n", "x\r\n");
  REQUIRE(f.told_exptime("60", after(500)) == second + 60);
  f.change("set k 0 0 1\r\n", "STORED\r\n", "x\r\n");
  REQUIRE(f.told_exptime("60", after(150)) == second + 59);  // it has not ticked yet
  f.change("set k 0 0 1\r\n", "STORED\r\n", "x\r\n");
  REQUIRE(f.told_exptime("-1", after(150)) == 0);
  for (const std::uint32_t known : {second + 59, second + 60}) {
    f.sidecar_.adopt({.key = "n" + std::to_string(known), .exptime = known, .cas = 7}, today);
    engine::cursor at;
    std::uint32_t exptime = 0;
    const auto scan = [&] {
      f.sidecar_.scan(0, at, 1000, {}, after(310), [&](const record& r) {
        if (r.key == "n" + std::to_string(known)) exptime = r.meta.exptime;
        return true;
      });
    };
    scan();
    const std::string asked = f.sent();
    for (auto i = std::count(asked.begin(), asked.end(), '\n'); i > 0; --i)
      f.reply("VA 1 f0 t60 c5\r\nx\r\n");
    while (!at.done) scan();
    REQUIRE(exptime == known);
  }
}
