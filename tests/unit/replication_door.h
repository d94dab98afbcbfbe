// Two nodes at the door of the link, and a hand between them that may change, cut, repeat and mix
// what they say.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/replication/frame.h"
#include "common/replication/hello.h"
#include "common/replication/node.h"
#include "common/replication/secret.h"
#include "common/service/store.h"
#include "tests/unit/catch.h"

namespace tandem::replication::door {

using lines = std::vector<std::string>;
using std::chrono::milliseconds;

inline const secrets one_secret{"the secret of both"};
inline const secrets other_secret{"another secret altogether"};

struct message {
  frame_type type;
  std::string payload;
};
using messages = std::vector<message>;

inline const char* name(frame_type type) {
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

inline nonce nonce_of(int number) {
  nonce n;
  n.fill(static_cast<char>(number));
  return n;
}

inline messages frames_of(std::string_view bytes, frame_reader& reader) {
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

inline const std::string wrong_proof =
    "the proof is wrong: another shared secret (replication.secret_file), or bytes changed on the "
    "way";

}  // namespace tandem::replication::door
