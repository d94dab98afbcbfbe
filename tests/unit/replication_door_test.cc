// The door of the link: handshakes between two nodes, and the crowd before it.
#include "tests/unit/replication_door.h"

using namespace tandem;
using namespace tandem::replication;
using namespace tandem::replication::door;

TEST_CASE("the handshake without a secret") {
  wire w({}, {});
  w.connect();
  REQUIRE(w.linked());
  REQUIRE(lines(w.transcript.begin(), w.transcript.begin() + 2) ==
          lines{"> hello", "< hello accept"});
  REQUIRE(w.transcript[2].starts_with("> accept"));
}

// The wire's nodes with these microseconds on the clock at the dialler's hello and at all that
// follows; the acceptor has issued a version at `issued`. Returns how far above it both go on.
struct rooms {
  std::int64_t acceptor, dialer;
};
rooms left_above(std::int64_t issued, std::int64_t hello_said, std::int64_t agreed) {
  wire w({}, {});
  w.acceptor.micros = issued;
  const service::hashed_key k("k");
  const version first = w.acceptor.data->lock(k, w.acceptor.now()).put(k, 0, 0, "v").stored;
  w.dialer.micros = hello_said;
  w.hand = [&](bool, messages&) { w.acceptor.micros = w.dialer.micros = agreed; };
  w.connect();
  REQUIRE(w.linked());
  const auto above = [&](a_node& n) {
    return static_cast<std::int64_t>(n.data->highest().ticks() - first.ticks());
  };
  return {above(w.acceptor), above(w.dialer)};
}

TEST_CASE("strangers leave room between their versions if one's clock is behind what was issued") {
  const std::int64_t issued = 2'000'000;
  const auto [at_acceptor, at_dialer] = left_above(issued, issued - 900'000, issued - 800'000);
  REQUIRE(at_acceptor >= 1 << 18);
  REQUIRE(at_dialer >= 1 << 18);
}

TEST_CASE("a hello that was long under way does not make a clock look as if it were behind") {
  const std::int64_t issued = 2'000'000;
  const auto [at_acceptor, at_dialer] = left_above(issued, issued - 900'000, issued + 1000);
  REQUIRE(at_acceptor <= 1000);
  REQUIRE(at_dialer <= 1000);
}

TEST_CASE("the handshake with a secret: the dialler proves first, and only then the acceptor") {
  wire w(one_secret, one_secret);
  w.connect();
  REQUIRE(w.linked());
  REQUIRE(lines(w.transcript.begin(), w.transcript.begin() + 4) ==
          lines{"> hello challenge", "< hello challenge", "> proof", "< proof accept"});
  REQUIRE(w.transcript[4].starts_with("> accept"));
  REQUIRE(w.acceptor.log.empty());
  REQUIRE(w.dialer.log.empty());
}

TEST_CASE("a wrong secret is refused, both sides say why, and nothing that was said counts") {
  wire w(one_secret, other_secret);
  const node_status before = w.acceptor.core->status(w.acceptor.now());
  // It claims to lead, in a later term, under our number.
  w.hand = [](bool to_acceptor, messages& all) {
    if (!to_acceptor || all.front().type != frame_type::hello) return;
    hello h = *decode_hello(all.front().payload);
    h.stands.in_charge = h.stands.complete = h.stands.has_data = h.node_id_fixed = true;
    h.stands.term = 99;
    h.stands.node_id = 100 & 7;
    all.front().payload = encode(h);
  };
  w.connect();
  REQUIRE_FALSE(w.any_linked());
  REQUIRE(w.transcript == lines{"> hello challenge", "< hello challenge", "> proof", "< refuse"});
  REQUIRE(w.acceptor.log ==
          lines{"replication: refusing the connection from 10.0.0.9:40000: " + wrong_proof});
  REQUIRE(w.dialer.log == lines{"replication: refused by the acceptor:11212: " + wrong_proof});
  const node_status after = w.acceptor.core->status(w.acceptor.now());
  REQUIRE(after.role == role_state::master);
  REQUIRE(after.term == before.term);
  REQUIRE(after.node_id == before.node_id);
  REQUIRE(after.serving);
  REQUIRE(after.handshakes_refused == 1);
}

TEST_CASE("a secret on one side only is refused, and both sides say whose it is") {
  const std::string text = "only one of the nodes has a shared secret (replication.secret_file): ";
  for (const bool acceptor_has : {true, false}) {
    wire w(acceptor_has ? one_secret : secrets{}, acceptor_has ? secrets{} : one_secret);
    w.connect();
    REQUIRE_FALSE(w.any_linked());
    const auto said_in = [&](const lines& log, const std::string& whose) {
      return std::any_of(log.begin(), log.end(), [&](const std::string& line) {
        return line.find(text + whose) != std::string::npos;
      });
    };
    REQUIRE(said_in(w.acceptor.log, acceptor_has ? "ours" : "theirs"));
    // It hears of it, or sees it by itself.
    REQUIRE((said_in(w.dialer.log, "ours") || said_in(w.dialer.log, "theirs")));
  }
}

TEST_CASE("a secret is changed on one node after the other, and a link that is up stays") {
  const std::string old_one = one_secret.front(), new_one = other_secret.front();
  wire w({old_one}, {old_one});
  w.connect();
  REQUIRE(w.linked());
  const std::pair<secrets, secrets> steps[] = {
      {{old_one, new_one}, {old_one}},          {{old_one, new_one}, {old_one, new_one}},
      {{new_one, old_one}, {old_one, new_one}}, {{new_one, old_one}, {new_one, old_one}},
      {{new_one}, {new_one, old_one}},          {{new_one}, {new_one}},
  };
  int nonces = 10;
  for (const auto& [acceptor_knows, dialer_knows] : steps) {
    w.acceptor.step(event::rekeyed{acceptor_knows});
    w.dialer.step(event::rekeyed{dialer_knows});
    REQUIRE(w.linked());
    w.acceptor.step(event::closed{w.at_acceptor, "cut", false});
    w.dialer.step(event::closed{w.at_dialer, "cut", false});
    w.acceptor.take_sent();
    w.dialer.take_sent();
    w.acceptor.micros += 20'000;
    w.dialer.micros += 20'000;
    w.dialer.step(event::tick{});
    w.at_acceptor += 2;
    w.connect(nonces += 2);
    REQUIRE(w.linked());
  }
  wire late({new_one}, {old_one});
  late.connect();
  REQUIRE_FALSE(late.any_linked());
}

TEST_CASE("a crowd of connections that say nothing does not keep the peer out") {
  a_node acceptor(one_secret, false);
  session_id id = 1000;
  const auto knock = [&](const std::string& from) {
    acceptor.step(event::accepted{id += 2, from, nonce_of(3)});
    return id;
  };
  for (int i = 0; i < 1000; ++i) knock("10.0.0.66:" + std::to_string(i));
  REQUIRE(acceptor.closed == 1000 - 16);

  wire w(one_secret, one_secret);
  w.acceptor.step(event::tick{});
  for (int i = 0; i < 1000; ++i)
    w.acceptor.step(event::accepted{id += 2, "10.0.0.66:" + std::to_string(i), nonce_of(3)});
  w.acceptor.take_sent();
  // They go on while the peer shakes hands.
  w.hand = [&](bool to_acceptor, messages&) {
    for (int i = 0; i < 100 && to_acceptor; ++i) {
      const std::string mine = w.acceptor.take_sent();
      w.acceptor.step(event::accepted{id += 2, "10.0.0.66:" + std::to_string(i), nonce_of(3)});
      w.acceptor.sent = mine;
    }
  };
  w.connect();
  REQUIRE(w.linked());
  REQUIRE(w.acceptor.log.empty());
}

TEST_CASE("a handshake has a time limit even where silence has a long one") {
  node_options no;
  no.run_id = 5;
  no.dead_after = milliseconds(600'000);
  no.known_secrets = one_secret;
  service::store_options so;
  so.memory_bytes = std::size_t{1} << 20;
  service::store data(so);
  node n(no, data, 1);
  const auto at = [](std::int64_t micros) {
    return instant{wall_time(std::chrono::seconds(1'800'000'000)),
                   steady_time(std::chrono::microseconds(micros))};
  };
  n.step(event::started{}, at(0));
  n.step(event::accepted{2, "10.0.0.66:1", nonce_of(1)}, at(0));
  REQUIRE(n.deadline() <= at(5'000'000).steady);
  bool closed = false;
  for (const any_effect& e : n.step(event::tick{}, at(5'000'000)))
    closed |= std::holds_alternative<effect::close>(e);
  REQUIRE(closed);
}

TEST_CASE("strangers cannot fill the log") {
  a_node acceptor(one_secret, false);
  for (session_id id = 2; id < 2000; id += 2) {
    acceptor.step(event::accepted{id, "10.0.0.66:1", nonce_of(1)});
    acceptor.step(event::received{id, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"});
  }
  REQUIRE(acceptor.log.size() == 16);
  REQUIRE(acceptor.core->status(acceptor.now()).handshakes_refused == 999);
  acceptor.micros += 1'000'000;
  for (session_id id = 2000; id < 2100; id += 2)
    acceptor.step(event::closed{id, "TLS: it shows no certificate", true});
  REQUIRE(acceptor.log.size() == 16);  // of sessions nobody knows
  for (session_id id = 2000; id < 2100; id += 2) {
    acceptor.step(event::accepted{id, "10.0.0.66:1", nonce_of(1)});
    acceptor.step(event::closed{id, "TLS: it shows no certificate", true});
  }
  REQUIRE(acceptor.log.size() == 16 + 4);
  REQUIRE(acceptor.log.back() ==
          "replication: connection from 10.0.0.66:1 closed: TLS: it shows no certificate");
}

TEST_CASE("a peer that speaks TLS to a node that does not is told from nonsense") {
  for (const std::string& bytes : {std::string("\x16\x03\x01\x02\x00\x01", 6),
                                   std::string("\x15\x03\x03\x00\x02\x02\x46", 7)}) {
    a_node acceptor({}, false);
    acceptor.step(event::accepted{2, "10.0.0.66:1"});
    acceptor.step(event::received{2, bytes});
    REQUIRE(acceptor.closed == 1);
    REQUIRE(acceptor.log == lines{"replication: refusing the connection from 10.0.0.66:1: it "
                                  "speaks TLS, this node does not (replication.tls_certificate)"});
  }
}
