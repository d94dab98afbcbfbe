// A flush_all of the peer's before a backend with several lanes: what the peer wrote before it does
// not come after it there, nor what it wrote after it before.
#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "common/service/sidecar.h"
#include "tests/unit/catch.h"
#include "tests/unit/no_waker.h"
#include "tests/unit/service_client.h"

using namespace tandem;
using namespace tandem::service;
using replication::record;
using replication::record_kind;
using test::no_waker;
using test::noon;

namespace {

// A sidecar with two lanes, whose backend is the test.
class fixture {
 public:
  fixture() : index_({.memory_bytes = 32 << 20}), sidecar_(index_, lanes_of(), [] {}) {
    for (backend::lane& each : lane_) {
      each.set_waker(waker_);
      each.open(false);
    }
    index_.set_node_id(1, noon);
  }
  fixture(const fixture&) = delete;
  fixture& operator=(const fixture&) = delete;
  // What still waits is answered, as by connections that close.
  ~fixture() {
    lose(0);
    lose(1);
  }

  // A key that goes by this lane.
  std::string key(std::size_t lane) {
    std::string made;
    do made = "k" + std::to_string(next_key_++);
    while (&lanes_.of(hash_key(made)) != &lane_[lane]);
    return made;
  }
  std::string sent(std::size_t lane) {
    byte_buffer out;
    lane_[lane].take_output(out);
    return std::string(out.view());
  }
  // False: that was not asked for.
  bool give(std::size_t lane, std::string_view text) {
    std::copy(text.begin(), text.end(), lane_[lane].prepare().begin());
    const auto hear = [&](backend::expected& e, std::string_view key, std::string_view answer) {
      if (e.what != protocol::verb::unknown) {
        (void)sidecar_.record(e, key, answer, noon);
        --clients_wait_;
      }
      if (e.who != nullptr) e.who->answered(e, answer);
    };
    const bool good = lane_[lane].received(text.size(), hear);
    sidecar_.retry(static_cast<std::uint16_t>(lane), noon);
    return good;
  }
  void reply(std::size_t lane, std::string_view text) { REQUIRE(give(lane, text)); }
  void lose(std::size_t lane) {
    lane_[lane].close([&](backend::expected& e, std::string_view) {
      if (e.who != nullptr) e.who->answered(e, {});
    });
    sidecar_.retry(static_cast<std::uint16_t>(lane), noon);
  }
  // A client's, by the first lane.
  void client_flushes() {
    ++clients_wait_;
    backend::expected e;
    e.what = protocol::verb::flush_all;
    backend::lane::access with(lane_[0]);
    with.out().append("flush_all 0\r\n");
    lanes_.flush_begins();
    with.add(e, {});
  }
  void client_sets(const std::string& key) {
    ++clients_wait_;
    backend::expected e;
    e.what = protocol::verb::set;
    e.hash = hash_key(key);
    e.reply.what = backend::change::stored;
    backend::lane::access with(lanes_.of(e.hash));
    with.out().append("set " + key + " 0 0 1\r\nx\r\n");
    with.add(e, key);
  }
  // The backend, as it is seen by one lane: answers what was sent, in the lane's thread. False: it
  // cannot.
  bool serve(std::size_t lane, std::set<std::string>& holds, std::mutex& its) {
    const std::string requests = sent(lane);
    std::string replies;
    for (std::size_t at = 0; at < requests.size();) {
      const std::string line = requests.substr(at, requests.find("\r\n", at) - at);
      at += line.size() + 2;
      const std::lock_guard guard(its);
      if (line == "mn") replies += "MN\r\n";
      if (line == "flush_all 0") {
        holds.clear();
        replies += "OK\r\n";
      }
      if (line.starts_with("md ")) holds.erase(line.substr(3, line.find(' ', 3) - 3));
      if (line.starts_with("set ")) replies += "STORED\r\n";
      const std::size_t name = line.starts_with("set ") ? 4 : line.starts_with("ms ") ? 3 : 0;
      if (name == 0) continue;
      holds.insert(line.substr(name, line.find(' ', name) - name));
      at += 3;  // its value
    }
    bool good = true;
    for (std::size_t at = 0, end = 0; at < replies.size(); at = end) {
      end = replies.find('\n', at) + 1;
      good &= give(lane, std::string_view(replies).substr(at, end - at));
    }
    return good;
  }
  bool idle() { return clients_wait_ == 0 && sidecar_.settle_doubts(); }
  bool shows(const std::string& key) {
    const hashed_key k(key);
    return index_.lock(k, noon).find(k).has_value();
  }
  void open(std::size_t lane) { lane_[lane].open(false); }
  void apply(const std::string& key, int second) {
    record r;
    r.kind = record_kind::value;
    r.key = key;
    r.value = "x";
    r.meta.stored = at(second);
    (void)sidecar_.apply(r, noon);
  }
  void flush(int second) {
    replication::flush_state state;
    state.watermark = at(second);
    sidecar_.apply_flush(state, noon);
  }

 private:
  static version at(int second) {
    return {version::ticks_at(noon.wall) + static_cast<std::uint64_t>(second) * 1'000'000, 2};
  }
  backend::lanes& lanes_of() {
    for (backend::lane& each : lane_) lanes_.add(each);
    return lanes_;
  }
  no_waker waker_;
  std::array<backend::lane, 2> lane_{backend::lane(0), backend::lane(1)};
  backend::lanes lanes_;
  int next_key_ = 0;
  std::atomic<int> clients_wait_{0};
  store index_;

 public:
  sidecar sidecar_;
};

std::string stores(const std::string& key) {
  return "ms " + key + " 1 T0 F0 q\r\nx\r\nmn\r\n";
}

}  // namespace

TEST_CASE("a flush waits for what was written before it on every lane, and later records for it") {
  fixture f;
  const std::string before = f.key(1), after = f.key(1), beside = f.key(0);
  f.apply(before, 1);
  REQUIRE(f.sent(1) == stores(before));
  f.flush(2);
  const auto one = f.sidecar_.applied();
  REQUIRE(f.sent(0) == "mn\r\n");
  f.reply(0, "MN\r\n");
  REQUIRE(f.sent(0).empty());
  f.apply(after, 3);
  f.apply(beside, 3);
  f.reply(1, "MN\r\n");
  REQUIRE(f.sent(1) == "mn\r\n");
  f.reply(1, "MN\r\n");
  REQUIRE(f.sent(1).empty());
  REQUIRE(f.sent(0) == "flush_all 0\r\n");
  REQUIRE(f.sidecar_.kept() == one);
  f.reply(0, "OK\r\n");
  REQUIRE(f.sent(0) == stores(beside));
  REQUIRE(f.sent(1) == stores(after));
  f.reply(0, "MN\r\n");
  f.reply(1, "MN\r\n");
  REQUIRE(f.sidecar_.kept() > f.sidecar_.applied());
  REQUIRE(f.sidecar_.settle_doubts());
}

TEST_CASE("what is older than a flush is not written behind it, and flushes have an order") {
  fixture f;
  const std::string old = f.key(1), fresh = f.key(1);
  f.flush(2);
  f.flush(4);
  f.apply(old, 3);
  f.apply(fresh, 5);
  REQUIRE_FALSE(f.sidecar_.settle_doubts());
  for (int i = 0; i < 2; ++i) {
    REQUIRE(f.sent(0) == "mn\r\n");
    REQUIRE(f.sent(1) == "mn\r\n");
    f.reply(1, "MN\r\n");
    f.reply(0, "MN\r\n");
    REQUIRE(f.sent(0) == "flush_all 0\r\n");
    REQUIRE(f.sent(1).empty());
    f.reply(0, "OK\r\n");
  }
  REQUIRE(f.sent(1) == stores(fresh));
  f.flush(4);
  REQUIRE(f.sent(0).empty());
}

TEST_CASE("a lane that is lost before a flush, or with it, leaves everything in doubt") {
  for (const std::size_t lost : {0U, 1U, 2U}) {
    INFO("lane " << lost << ", 2: with the flush");
    fixture f;
    f.flush(2);
    const auto one = f.sidecar_.applied();
    REQUIRE(f.sidecar_.kept() == one);
    (void)f.sent(0);
    (void)f.sent(1);
    if (lost != 1) f.reply(1, "MN\r\n");
    if (lost != 0) f.reply(0, "MN\r\n");
    if (lost == 2) REQUIRE(f.sent(0) == "flush_all 0\r\n");
    f.lose(lost % 2);
    REQUIRE(f.sidecar_.kept() > one);
    f.flush(3);  // with a lane that is not there
    const std::size_t left = 1 - lost % 2;
    REQUIRE(f.sent(left) == "mn\r\n");
    f.reply(left, "MN\r\n");
    f.open(lost % 2);
    REQUIRE_FALSE(f.sidecar_.settle_doubts());
    REQUIRE(f.sent(0) == "flush_all\r\nmn\r\n");
    f.reply(0, "OK\r\nMN\r\n");
    REQUIRE(f.sidecar_.settle_doubts());
  }
}

TEST_CASE("the backend holds nothing that was flushed, whichever lane is the faster") {
  constexpr int rounds = 30, changes = 100, flush_every = 37, key_count = 40;
  fixture f;
  std::set<std::string> holds;
  std::mutex its;
  std::atomic<bool> ends{false};
  const auto serve = [&](std::size_t lane) {
    while (!ends)
      if (!f.serve(lane, holds, its)) ends = true;
  };
  std::thread first(serve, 0U), second(serve, 1U);
  std::string wrong;
  for (int round = 0; round < rounds; ++round) {
    for (int i = 1; i <= changes; ++i) {
      const int second_of = round * changes + i;
      const std::string key = "key" + std::to_string(i % key_count);
      if (i % flush_every == 0)
        f.flush(second_of);
      else if (i == changes - round % 8)
        f.client_flushes();
      else if (i % 3 == 0)
        f.client_sets(key);
      else
        f.apply(key, second_of);
    }
    const auto last = f.sidecar_.applied();
    while (!(f.sidecar_.kept() > last && f.idle()) && !ends) std::this_thread::yield();
    const std::lock_guard guard(its);
    for (const std::string& key : holds)
      if (!f.shows(key)) wrong += key + " in round " + std::to_string(round) + "\n";
  }
  const bool good = !ends.exchange(true);
  first.join();
  second.join();
  REQUIRE(good);
  REQUIRE(wrong.empty());
}

TEST_CASE("what was written beside a client's flush does not outlive it") {
  fixture f;
  const std::string done = f.key(1), old = f.key(1), answered = f.key(1), behind = f.key(0),
                    fresh = f.key(0);
  f.apply(done, -1);
  REQUIRE(f.sent(1) == stores(done));
  f.reply(1, "MN\r\n");
  f.client_flushes();
  f.apply(answered, -1);
  REQUIRE(f.sent(1) == stores(answered));
  f.reply(1, "MN\r\n");
  f.apply(old, -1);
  REQUIRE(f.sent(1) == stores(old));
  f.apply(behind, -1);
  REQUIRE(f.sent(0) == "flush_all 0\r\n" + stores(behind));
  f.reply(0, "OK\r\n");
  f.apply(fresh, 1);
  REQUIRE(f.sent(0) == "md " + behind + " q\r\n" + stores(fresh));
  REQUIRE(f.sent(1) == "md " + old + " q\r\nmd " + answered + " q\r\nmn\r\n");
  f.reply(0, "MN\r\nMN\r\n");
  f.reply(1, "MN\r\nMN\r\n");
  REQUIRE(f.sidecar_.settle_doubts());
  REQUIRE(f.sidecar_.kept() > f.sidecar_.applied());
}
