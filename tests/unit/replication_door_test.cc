// The door of the link: handshakes between two nodes whose bytes pass through a hand that may
// change, cut, repeat and mix them; and the crowd before it.
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/replication/frame.h"
#include "common/replication/hello.h"
#include "common/replication/node.h"
#include "common/replication/secret.h"
#include "common/service/store.h"
#include "tests/unit/catch.h"

using namespace tandem;
using namespace tandem::replication;

namespace {

using lines = std::vector<std::string>;
using std::chrono::milliseconds;

const secrets one_secret{"the secret of both"};
const secrets other_secret{"another secret altogether"};

struct message {
  frame_type type;
  std::string payload;
};
using messages = std::vector<message>;

const char* name(frame_type type) {
  switch (type) {
    case frame_type::hello:
      return "hello";
    case frame_type::accept:
      return "accept";
    case frame_type::refuse:
      return "refuse";
    case frame_type::challenge:
      return "challenge";
    case frame_type::proof:
      return "proof";
    default:
      return "data";
  }
}

// A node of its own; what it does is collected until it is asked for.
struct a_node {
  std::unique_ptr<service::store> data;
  std::unique_ptr<node> core;
  std::string sent;  // on any session
  lines log;         // warnings and errors
  std::size_t closed = 0;
  std::optional<session_id> dialing;
  std::int64_t micros = 1'000'000;

  a_node(const secrets& known, bool dials, unsigned node_id = 0) {
    service::store_options so;
    so.memory_bytes = std::size_t{1} << 20;
    so.shards = 1;
    data = std::make_unique<service::store>(so);
    node_options no;
    no.run_id = 100 + node_id + (dials ? 50 : 0);
    if (node_id != 0) no.node_id = node_id;
    if (dials) no.peer = "the acceptor:11212";
    no.known_secrets = known;
    core = std::make_unique<node>(no, *data, 1);
    step(event::started{});
  }
  instant now() const {
    return {wall_time(std::chrono::seconds(1'800'000'000) + std::chrono::microseconds(micros)),
            steady_time(std::chrono::microseconds(micros))};
  }
  void step(const any_event& e) {
    for (const any_effect& effect : core->step(e, now())) {
      if (const auto* send = std::get_if<effect::send>(&effect)) sent += send->bytes;
      if (std::holds_alternative<effect::close>(effect)) ++closed;
      if (const auto* dial = std::get_if<effect::dial>(&effect)) dialing = dial->session;
      if (const auto* note = std::get_if<effect::note>(&effect))
        if (note->severity >= effect::level::warning) log.push_back(note->text);
    }
  }
  std::string take_sent() { return std::exchange(sent, {}); }
  bool linked() const { return core->status(now()).linked; }
};

nonce nonce_of(int number) {
  nonce n;
  n.fill(static_cast<char>(number));
  return n;
}

messages frames_of(std::string_view bytes, frame_reader& reader) {
  messages all;
  reader.feed(bytes);
  for (frame f{}; reader.next(f) == frame_reader::status::frame;)
    all.push_back({f.type, std::string(f.payload)});
  return all;
}

// A dialler and an acceptor, and whoever sits between them.
struct wire {
  a_node acceptor, dialer;
  session_id at_acceptor = 2, at_dialer = 1;
  frame_reader from_acceptor, from_dialer;
  std::uint64_t to_acceptor_sequence = 0, to_dialer_sequence = 0;
  lines transcript;
  messages said_by_acceptor, said_by_dialer;
  // Changes what goes to the acceptor (true) or the dialler (false).
  std::function<void(bool to_acceptor, messages&)> hand = [](bool, messages&) {};

  wire(const secrets& acceptor_knows, const secrets& dialer_knows)
      : acceptor(acceptor_knows, false), dialer(dialer_knows, true) {}

  void connect(int nonces = 1) {
    REQUIRE(dialer.dialing);
    at_dialer = *std::exchange(dialer.dialing, std::nullopt);
    from_acceptor = from_dialer = {};
    to_acceptor_sequence = to_dialer_sequence = 0;
    acceptor.step(event::accepted{at_acceptor, "10.0.0.9:40000", nonce_of(nonces)});
    dialer.step(event::dialed{at_dialer, nonce_of(nonces + 1)});
    while (pass(true) || pass(false)) {
    }
  }
  // Moves what one side has said to the other; false: it has said nothing.
  bool pass(bool to_acceptor) {
    a_node& from = to_acceptor ? dialer : acceptor;
    a_node& to = to_acceptor ? acceptor : dialer;
    messages all = frames_of(from.take_sent(), to_acceptor ? from_dialer : from_acceptor);
    if (all.empty()) return false;
    auto& kept = to_acceptor ? said_by_dialer : said_by_acceptor;
    kept.insert(kept.end(), all.begin(), all.end());
    hand(to_acceptor, all);
    std::string line = to_acceptor ? ">" : "<";
    std::string bytes;
    auto& sequence = to_acceptor ? to_acceptor_sequence : to_dialer_sequence;
    for (const message& m : all) {
      line += std::string(" ") + name(m.type);
      append_frame(bytes, m.type, sequence++, m.payload);
    }
    transcript.push_back(line);
    to.step(event::received{to_acceptor ? at_acceptor : at_dialer, bytes});
    return true;
  }
  bool linked() const { return acceptor.linked() && dialer.linked(); }
  bool any_linked() const { return acceptor.linked() || dialer.linked(); }
};

const std::string wrong_proof =
    "the proof is wrong: another shared secret (replication.secret_file), or bytes changed on the "
    "way";

}  // namespace

TEST_CASE("the handshake without a secret") {
  wire w({}, {});
  w.connect();
  REQUIRE(w.linked());
  REQUIRE(lines(w.transcript.begin(), w.transcript.begin() + 2) ==
          lines{"> hello", "< hello accept"});
  REQUIRE(w.transcript[2].starts_with("> accept"));
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

TEST_CASE("what was overheard proves nothing in another connection") {
  wire w(one_secret, one_secret);
  w.connect();
  REQUIRE(w.linked());
  // To a node that is waiting, with the nonces that it chooses this time.
  a_node victim(one_secret, false);
  victim.step(event::accepted{2, "10.0.0.66:1", nonce_of(77)});
  std::string bytes;
  std::uint64_t sequence = 0;
  for (const message& m : w.said_by_dialer) append_frame(bytes, m.type, sequence++, m.payload);
  victim.step(event::received{2, bytes});
  REQUIRE_FALSE(victim.linked());
  REQUIRE(victim.log ==
          lines{"replication: refusing the connection from 10.0.0.66:1: " + wrong_proof});
  // And to one that dials.
  a_node caller(one_secret, true);
  caller.step(event::dialed{1, nonce_of(78)});
  bytes.clear();
  sequence = 0;
  for (const message& m : w.said_by_acceptor) append_frame(bytes, m.type, sequence++, m.payload);
  caller.step(event::received{1, bytes});
  REQUIRE_FALSE(caller.linked());
  REQUIRE(caller.log ==
          lines{"replication: refusing the connection to the acceptor:11212: " + wrong_proof});
}

TEST_CASE("a node's own words, sent back to it, prove nothing") {
  a_node dialer(one_secret, true);
  dialer.step(event::dialed{1, nonce_of(5)});
  frame_reader reader;
  std::uint64_t sequence = 0;
  for (int turn = 0; turn < 3; ++turn) {
    std::string bytes;
    for (const message& m : frames_of(dialer.take_sent(), reader))
      append_frame(bytes, m.type, sequence++, m.payload);
    dialer.step(event::received{1, bytes});
    REQUIRE_FALSE(dialer.linked());
  }
  REQUIRE(dialer.log ==
          lines{"replication: refusing the connection to the acceptor:11212: " + wrong_proof});

  // An acceptor says no proof before it has seen one, so there is nothing to send back.
  a_node acceptor(one_secret, false);
  acceptor.step(event::accepted{2, "10.0.0.66:1", nonce_of(6)});
  frame_reader from_acceptor;
  std::string bytes;
  sequence = 0;
  const messages said = frames_of(acceptor.take_sent(), from_acceptor);
  for (const message& m : said) append_frame(bytes, m.type, sequence++, m.payload);
  acceptor.step(event::received{2, bytes});
  REQUIRE(acceptor.take_sent().empty());
  REQUIRE_FALSE(acceptor.linked());
}

TEST_CASE("a node connected with itself by a stranger finds that out and changes nothing") {
  a_node victim(one_secret, true);
  victim.step(event::dialed{1, nonce_of(5)});
  const std::string dialed = victim.take_sent();
  victim.step(event::accepted{2, "10.0.0.66:1", nonce_of(6)});
  const std::string accepted = victim.take_sent();
  victim.step(event::received{2, dialed});
  victim.step(event::received{1, accepted});
  const std::string proof = victim.take_sent();
  victim.step(event::received{2, proof});
  REQUIRE(victim.closed == 1);
  REQUIRE_FALSE(victim.linked());
  REQUIRE(victim.core->status(victim.now()).role == role_state::init);
}

TEST_CASE("a bit changed in any frame of the handshake, checksum put right, ends it") {
  struct place {
    bool to_acceptor;
    frame_type type;
  };
  for (const place where : {place{true, frame_type::hello}, place{true, frame_type::challenge},
                            place{true, frame_type::proof}, place{false, frame_type::hello},
                            place{false, frame_type::challenge}, place{false, frame_type::proof}}) {
    for (std::size_t at = 0;; ++at) {
      bool changed = false;
      wire w(one_secret, one_secret);
      w.hand = [&](bool to_acceptor, messages& all) {
        if (to_acceptor != where.to_acceptor) return;
        for (message& m : all)
          if (m.type == where.type && at < m.payload.size()) {
            m.payload[at] = static_cast<char>(m.payload[at] ^ (1 << (at % 8)));
            changed = true;
          }
      };
      w.connect();
      if (!changed) {
        REQUIRE(at >= 32);
        break;
      }
      INFO(name(where.type) << " byte " << at);
      REQUIRE_FALSE(w.any_linked());
    }
  }
}

TEST_CASE("a bit changed on the wire ends the handshake before it is believed") {
  wire good(one_secret, one_secret);
  good.connect();
  std::string bytes;
  std::uint64_t sequence = 0;
  for (std::size_t i = 0; i < 4; ++i)
    append_frame(bytes, good.said_by_dialer[i].type, sequence++, good.said_by_dialer[i].payload);
  const auto play = [&](const std::string& what) {
    a_node acceptor(one_secret, false);
    acceptor.step(event::accepted{2, "10.0.0.9:40000", nonce_of(1)});
    acceptor.step(event::received{2, what});
    acceptor.micros += 1'100'000;
    acceptor.step(event::tick{});
    REQUIRE(acceptor.closed == (acceptor.linked() ? 0U : 1U));
    return acceptor.linked();
  };
  REQUIRE(play(bytes));  // the very same nonces: the dialler's part alone is enough
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
    REQUIRE_FALSE(play(changed));
    REQUIRE_FALSE(play(bytes.substr(0, at)));
    REQUIRE_FALSE(play(bytes.substr(0, at) + bytes.substr(at + 1)));
  }
}

TEST_CASE("frames left out, doubled, in another order or before their time end the handshake") {
  wire good(one_secret, one_secret);
  good.connect();
  const messages said(good.said_by_dialer.begin(), good.said_by_dialer.begin() + 4);
  REQUIRE(said[3].type == frame_type::accept);
  const auto play = [&](const messages& what) {
    a_node acceptor(one_secret, false);
    acceptor.step(event::accepted{2, "10.0.0.9:40000", nonce_of(1)});
    std::string bytes;
    std::uint64_t sequence = 0;
    for (const message& m : what) append_frame(bytes, m.type, sequence++, m.payload);
    acceptor.step(event::received{2, bytes});
    return acceptor.linked();
  };
  REQUIRE(play(said));
  std::vector<std::size_t> order{0, 1, 2, 3};
  while (std::next_permutation(order.begin(), order.end())) {
    messages mixed;
    for (const std::size_t i : order) mixed.push_back(said[i]);
    REQUIRE_FALSE(play(mixed));
  }
  for (std::size_t i = 0; i < said.size(); ++i) {
    messages less = said;
    less.erase(less.begin() + static_cast<std::ptrdiff_t>(i));
    REQUIRE_FALSE(play(less));
  }
  for (std::size_t i = 0; i < 3; ++i) {
    messages more = said;
    more.insert(more.begin() + static_cast<std::ptrdiff_t>(i), said[i]);
    REQUIRE_FALSE(play(more));
  }
  for (std::size_t i = 0; i < 3; ++i)
    for (const frame_type early :
         {frame_type::ping, frame_type::records, frame_type::flush, frame_type::ack,
          frame_type::in_sync, frame_type::inventory_please,
          static_cast<frame_type>(frame_type_max)}) {
      messages more = said;
      more.insert(more.begin() + static_cast<std::ptrdiff_t>(i), {early, ""});
      REQUIRE_FALSE(play(more));
    }
  // Parts of two handshakes of the same two nodes.
  wire second(one_secret, one_secret);
  second.connect(21);
  for (const unsigned from_second : {2U, 3U, 4U, 5U, 6U, 7U}) {  // bits: which frames
    messages spliced = said;
    for (std::size_t i = 0; i < 3; ++i)
      if ((from_second >> i & 1) != 0) spliced[i] = second.said_by_dialer[i];
    REQUIRE_FALSE(play(spliced));
  }
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
