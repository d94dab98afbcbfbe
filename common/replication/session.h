// One connection to a peer, from the first byte to the last: framing, handshake progress, and
// whether the other side is alive. Owned and driven by core.cc.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/replication/event.h"
#include "common/replication/frame.h"
#include "common/replication/hello.h"

namespace tandem::replication {

using std::chrono::milliseconds;

class session {
 public:
  // `mine` is what this side says of itself; it stays the basis of the verdict for this session.
  // `fresh` is used where `mine` wants a proof.
  session(session_id id, bool dialed, std::string peer, const hello& mine, const nonce& fresh,
          instant now);

  const session_id id;
  const bool dialed;       // by us
  const std::string peer;  // HOST:PORT, for the log

  // --- handshake -----------------------------------------------------------------------------
  hello mine;
  std::string my_hello;  // as it was sent
  const nonce my_nonce;
  std::string their_hello;  // as it came; nothing in it counts before it is proven
  std::optional<nonce> their_nonce;
  std::optional<hello> theirs;  // proven, if that is wanted
  // Once both nonces are there.
  handshake_transcript transcript() const;
  bool accepted_by_us = false;
  bool accepted_by_peer = false;
  bool established = false;
  bool visit = false;  // instead: one of the two is a guest
  bool live() const noexcept { return established || visit; }
  // Both have agreed: established may be set.
  bool agreed() const noexcept { return accepted_by_us && accepted_by_peer; }

  // --- frames --------------------------------------------------------------------------------
  frame_reader reader;
  // Queues a frame that carries no data.
  void say(frame_type type, std::string_view payload);
  std::string out;                  // frames to be handed over at the end of the step
  std::uint64_t next_sequence = 0;  // of the next frame sent
  std::size_t unsent = 0;           // handed over, not yet with the kernel

  // --- life ----------------------------------------------------------------------------------
  void heard(instant now) noexcept { last_heard_ = now.steady; }
  // A pong or an acknowledgement: the peer has heard us.
  void answered(instant now) noexcept;
  // Data went out that the peer must acknowledge.
  void expect_answer(instant now) noexcept;
  // Pings if one is due.
  void heartbeat(milliseconds interval, instant now);
  // Why the peer must be taken for dead; null: it lives. Silence from it for `dead_after`, or
  // silence towards it (a one-way break): it spoke but answered nothing for as long.
  const char* verdict(milliseconds dead_after, instant now) const noexcept;
  // When heartbeat() or verdict() want to be asked again.
  steady_time deadline(milliseconds interval, milliseconds dead_after) const noexcept;

 private:
  steady_time last_heard_;
  steady_time last_ping_;
  std::optional<steady_time> unanswered_since_;
};

}  // namespace tandem::replication
