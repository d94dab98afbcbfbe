// Replies that wait for the peer: which do, in what order they go, and what becomes of those that
// wait in vain.
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/catch.h"
#include "tests/unit/service_client.h"

using namespace tandem;
using namespace tandem::service;
using namespace tandem::test;
using replication::ack_mode;
using replication::reply_rule;
using std::chrono::milliseconds;

namespace {

const std::string late_line = "SERVER_ERROR the peer has not confirmed it in time\r\n";
const std::string alone_line = "SERVER_ERROR no peer to confirm it\r\n";
constexpr milliseconds ack_patience{1000};

store_options two_shards() {
  store_options options = small_store();
  options.shards = 2;
  return options;
}

// A node whose peer is the test.
struct waiting_client : client {
  explicit waiting_client(ack_mode mode = ack_mode::sync,
                          const connection_limits& limits = connection_limits{})
      : client(two_shards(), limits, std::make_unique<ack_gate>(2, mode, ack_patience)) {}
  // The peer has everything, or everything but the last entry of each journal.
  void confirm(std::uint64_t but = 0) {
    for (std::size_t s = 0; s < 2; ++s)
      if (const auto end = data.journal_end(s); end >= but) host.gate->confirm(s, end - but, true);
    data.confirm_flush(number_of(data.flush()));
    host.gate->announce();
  }
};

struct waker final : ack_waker {
  void confirmed() override { ++calls; }
  int calls = 0;
};

const std::string tour = set("a", "1") + set("n", "5") + "get a\r\n" + "incr n 2\r\n" +
                         "add a 0 0 1\r\nx\r\n" + "append a 0 0 2\r\nbc\r\n" + "touch a 50\r\n" +
                         "gat 60 a n\r\n" + "ms m 2 T0 Ofoo c\r\nhi\r\n" + "mg m v t T30\r\n" +
                         "ma n\r\n" + "md m q\r\nmn\r\n" + "delete nothing\r\n" + "delete a\r\n" +
                         "get a\r\n" + "flush_all\r\n" + "get n\r\n" + "version\r\n";

}  // namespace

TEST_CASE("mutations are answered when the peer has them, as they would be without, however cut") {
  for (const std::size_t piece :
       {std::size_t{1}, std::size_t{2}, std::size_t{7}, std::size_t{50}, std::string::npos}) {
    client plain(two_shards());
    const std::string wanted = plain.send(tour, piece);
    waiting_client c;
    REQUIRE(c.send(tour, piece).empty());
    REQUIRE(c.connection.waits());
    c.confirm();
    // CAS uniques are versions: the same clock gives the same in both.
    REQUIRE(c.look(noon) == wanted);
    REQUIRE_FALSE(c.connection.waits());
    REQUIRE(c.host.gate->errors() == 0);
  }
}

TEST_CASE("each reply that waited in vain becomes one error, and the others stay what they were") {
  for (const std::size_t piece :
       {std::size_t{1}, std::size_t{3}, std::size_t{64}, std::string::npos}) {
    waiting_client c;
    c.takes_random_steps = true;
    REQUIRE(c.send(tour, piece).empty());
    REQUIRE(c.look(after(ack_patience - milliseconds(1))).empty());
    const std::string wanted = late_line + late_line + hit("a", "1") + "END\r\n" + late_line +
                               "NOT_STORED\r\n" + late_line + late_line + late_line + late_line +
                               late_line + late_line + late_line + "MN\r\n" + late_line +
                               late_line + "END\r\n" + late_line + "END\r\n" + "VERSION " +
                               "1.6.45-memtandem-" MEMTANDEM_VERSION "\r\n";
    REQUIRE(c.look(after(ack_patience)) == wanted);
    REQUIRE_FALSE(c.connection.waits());
    REQUIRE(c.host.gate->errors() == 13);
  }
}

TEST_CASE("what goes before the first mutation is not held up, what comes behind it is") {
  waiting_client c;
  REQUIRE(c.send("get x\r\nmn\r\n" + set("a", "1") + "get a\r\n") == "END\r\nMN\r\n");
  REQUIRE(c.send("get x\r\n").empty());
  c.confirm();
  REQUIRE(c.look(noon) == "STORED\r\n" + hit("a", "1") + "END\r\nEND\r\n");
}

TEST_CASE("replies go out one by one as the journal is confirmed") {
  waiting_client c;
  REQUIRE(c.send(set("a", "1") + set("a", "2") + set("a", "3")).empty());
  const std::size_t shard = c.data.journal_end(0) == 3 ? 0 : 1;
  for (std::uint64_t position = 1; position <= 3; ++position) {
    REQUIRE(c.look(noon).empty());
    c.host.gate->confirm(shard, position, true);
    REQUIRE(c.look(noon) == "STORED\r\n");
  }
}

TEST_CASE("a confirmed reply behind a late one is no error") {
  waiting_client c;
  // Keys of both shards.
  std::string first, second;
  for (char k = 'a'; k <= 'z'; ++k) ((hash_key({&k, 1}) & 1) == 0 ? first : second).assign(1, k);
  REQUIRE(c.send(set(first, "1") + set(second, "2")).empty());
  c.host.gate->confirm(1, c.data.journal_end(1), true);
  REQUIRE(c.look(noon).empty());
  REQUIRE(c.look(after(ack_patience)) == late_line + "STORED\r\n");
}

TEST_CASE("a later mutation has its own time") {
  waiting_client c;
  REQUIRE(c.send(set("a", "1")).empty());
  REQUIRE(c.send(set("b", "2"), std::string::npos, after(milliseconds(600))).empty());
  REQUIRE(c.look(after(milliseconds(1000))) == late_line);
  c.confirm();
  REQUIRE(c.look(after(milliseconds(1000))) == "STORED\r\n");
}

TEST_CASE("quiet and noreply commands") {
  SECTION("a quiet one lets nothing pass before it is known") {
    waiting_client c;
    REQUIRE(c.send("ms a 1 q\r\nx\r\nmd a q\r\nmn\r\n").empty());
    c.confirm();
    REQUIRE(c.look(noon) == "MN\r\n");
  }
  SECTION("its error is told") {
    waiting_client c;
    REQUIRE(c.send("ms a 1 q\r\nx\r\nmn\r\n").empty());
    REQUIRE(c.look(after(ack_patience)) == late_line + "MN\r\n");
  }
  SECTION("noreply waits for nothing and tells nothing") {
    waiting_client c;
    REQUIRE(c.send("set a 0 0 1 noreply\r\nx\r\nget a\r\n") == hit("a", "x") + "END\r\n");
    REQUIRE(c.look(after(ack_patience)).empty());
    REQUIRE(c.host.gate->errors() == 0);
  }
}

TEST_CASE("without a peer mutations are errors at once, and done all the same") {
  waiting_client c;
  c.host.gate->set_rule(reply_rule::refuse);
  REQUIRE(c.send(set("a", "1") + "get a\r\nincr a 1\r\n") ==
          alone_line + hit("a", "1") + "END\r\n" + alone_line);
  c.host.gate->set_rule(reply_rule::at_once);
  REQUIRE(c.send(set("a", "1")) == "STORED\r\n");
}

TEST_CASE("what waits is answered at once when replies need not wait any more") {
  waiting_client c(ack_mode::semisync);
  REQUIRE(c.send(set("a", "1") + "delete a\r\n").empty());
  REQUIRE(c.host.late_acknowledgements == 0);
  REQUIRE(c.look(after(ack_patience)).empty());
  REQUIRE(c.host.late_acknowledgements == 1);
  c.host.gate->set_rule(reply_rule::at_once);
  REQUIRE(c.look(after(ack_patience)) == "STORED\r\nDELETED\r\n");
  REQUIRE(c.send(set("a", "1")) == "STORED\r\n");
}

TEST_CASE("a scan confirms nothing from before it until it is done") {
  waiting_client c;
  REQUIRE(c.send(set("a", "1")).empty());
  for (std::size_t s = 0; s < 2; ++s) c.data.start_journal(s);
  REQUIRE(c.send(set("a", "2")).empty());
  for (std::size_t s = 0; s < 2; ++s) c.data.confirm(s, c.data.journal_end(s), false);
  REQUIRE(c.look(noon).empty());
  for (std::size_t s = 0; s < 2; ++s) c.data.confirm(s, c.data.journal_end(s), true);
  REQUIRE(c.look(noon) == "STORED\r\nSTORED\r\n");
}

TEST_CASE("what waits is bounded: by the output's limit, and by number") {
  connection_limits limits;
  limits.output_limit = 4096;
  limits.requests_per_event = 100000;
  waiting_client c(ack_mode::sync, limits);
  const std::string value(300, 'v');
  std::string script = set("a", value);
  for (int i = 0; i < 100; ++i) script += "get a\r\n";
  REQUIRE(c.send(script).empty());
  REQUIRE_FALSE(c.connection.wants_read());
  REQUIRE_FALSE(c.connection.has_more());
  c.confirm();
  std::string wanted = "STORED\r\n";
  for (int i = 0; i < 100; ++i) wanted += hit("a", value) + "END\r\n";
  REQUIRE(c.look(noon) == wanted);
  REQUIRE(c.connection.wants_read());

  std::string quiet;
  for (int i = 0; i < 3000; ++i) quiet += "ms a 1 q\r\nx\r\n";
  quiet += "mn\r\n";
  REQUIRE(c.send(quiet).empty());
  REQUIRE_FALSE(c.connection.wants_read());
  REQUIRE(c.data.journal_end(0) + c.data.journal_end(1) < 1500);
  std::string got;
  for (int i = 0; i < 10; ++i) {
    c.confirm();
    got += c.look(noon);
    got += c.send(std::string_view(quiet).substr(quiet.size() - c.unsent));
  }
  REQUIRE(got == "MN\r\n");
}

TEST_CASE("a retrieval that touches and stops for want of room ends in one error") {
  connection_limits limits;
  limits.output_limit = 2048;
  waiting_client c(ack_mode::sync, limits);
  std::string line = "gat 100";
  for (int i = 0; i < 40; ++i) {
    const std::string key = "k" + std::to_string(i);
    c.send(set(key, std::string(200, 'v')));
    c.confirm();
    REQUIRE(c.look(noon) == "STORED\r\n");
    line += " " + key;
  }
  REQUIRE(c.send(line + "\r\nget k1\r\n").empty());
  REQUIRE(c.look(after(ack_patience)) == late_line + hit("k1", std::string(200, 'v')) + "END\r\n");
  // And with a peer that answers it is whole.
  REQUIRE(c.send(line + "\r\nmn\r\n", std::string::npos, after(ack_patience)).empty());
  std::string got;
  for (int i = 0; i < 20; ++i) {
    c.confirm();
    got += c.look(after(ack_patience));
  }
  REQUIRE(got.ends_with("END\r\nMN\r\n"));
  REQUIRE(got.size() == 40 * (hit("k1", std::string(200, 'v')).size()) + 30 + 9);
}

TEST_CASE("the end of a connection waits for its replies") {
  waiting_client c;
  REQUIRE(c.send(set("a", "1") + "quit\r\n").empty());
  REQUIRE(c.connection.wants_close());
  REQUIRE(c.connection.waits());
  c.confirm();
  REQUIRE(c.look(noon) == "STORED\r\n");
  REQUIRE_FALSE(c.connection.waits());
}

TEST_CASE("the gate wakes each subscriber once, and only one that waits") {
  ack_gate gate(2, ack_mode::sync, ack_patience);
  waker one, other;
  const std::size_t first = gate.subscribe(one);
  gate.subscribe(other);
  gate.confirm(0, 5, true);
  gate.announce();
  REQUIRE(one.calls == 0);
  REQUIRE_FALSE(gate.wait(first, gate.changes()));
  gate.announce();  // nothing new
  REQUIRE(one.calls == 0);
  gate.confirm(0, 6, true);
  gate.confirm(1, 6, true);
  gate.announce();
  gate.confirm(0, 7, true);
  gate.announce();
  REQUIRE(one.calls == 1);
  REQUIRE(other.calls == 0);
  REQUIRE(gate.wait(first, 0));  // it has looked before all that
}

TEST_CASE("random pipelines, cuts, confirmations: the replies are those of a node without a peer") {
  prng random(11);
  for (int round = 0; round < 60; ++round) {
    connection_limits limits;
    limits.output_limit = 3000;
    client plain(two_shards(), limits);
    waiting_client c(ack_mode::sync, limits);
    c.takes_random_steps = true;
    std::string wanted, got;
    for (int burst = 0; burst < 20; ++burst) {
      std::string script;
      for (std::uint64_t n = random.below(12); n != 0; --n) {
        const std::string key = "k" + std::to_string(random.below(5));
        const std::string big(20'000 + random.below(3), 'b');
        const std::string choices[] = {set(key, std::to_string(random.below(100))),
                                       "get " + key + " k1 k2\r\n",
                                       "incr " + key + " 1\r\n",
                                       "delete " + key + "\r\n",
                                       "ms " + key + " 1 q\r\n7\r\n",
                                       "gat 100 k0 k1 k2 k3 k4\r\n",
                                       set(key, big),
                                       "mg " + key + " v T50 k\r\n",
                                       "set " + key + " 0 0 1 noreply\r\n1\r\n",
                                       "mn\r\n",
                                       "flush_all\r\n"};
        script += choices[random.below(std::size(choices))];
      }
      const std::size_t piece = 1 + random.below(400);
      // Sent until it is all taken, as a client would whose peer is slow.
      wanted += plain.send(script, piece);
      REQUIRE(plain.unsent == 0);
      std::string_view rest = script;
      for (int tries = 0; tries < 10'000 && (!rest.empty() || tries == 0); ++tries) {
        got += c.send(rest, piece);
        rest = rest.substr(rest.size() - c.unsent);
        if (random.below(3) == 0) c.confirm(random.below(2));
        if (random.below(2) == 0) got += c.look(noon);
      }
      REQUIRE(rest.empty());
    }
    for (int i = 0; i < 50; ++i) {
      c.confirm();
      got += c.look(noon);
    }
    REQUIRE(got == wanted);
  }
}
