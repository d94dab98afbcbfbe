// The door of the link, with a hand in the wire that changes, cuts, repeats and mixes what is said.
#include <algorithm>

#include "tests/unit/replication_door.h"

using namespace tandem;
using namespace tandem::replication;
using namespace tandem::replication::door;

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
