// Who is master: the states of a node, the term, and the rule by which two nodes that meet agree.
// Pure functions of what both said in their hellos, so both come to the same verdict.
//
//   INIT     started with a peer, not met yet: not serving
//   SYNCING  met a better one; being filled from it: not serving
//   SLAVE    filled, following: serving (both nodes take writes)
//   MASTER   in charge; `linked` tells whether a peer follows: serving
//
// | state   | event                                   | next    | what happens |
// |---------|-----------------------------------------|---------|----------------------------------|
// | INIT    | no peer configured                      | MASTER  | term 1, "listen", complete | |
// INIT    | no peer answered for join_timeout       | MASTER  | term + 1, "listen", incomplete   |
// | any     | handshake done, verdict for us          | MASTER  | term kept if in charge, else + 1
// | | SLAVE   | handshake done, the journals resume     | SLAVE   | the peer's term; goes on
// serving | | any     | handshake done, verdict for the peer    | SYNCING | the peer's term;
// clients closed  | | SYNCING | the peer says everything is here        | SLAVE   | "start";
// clients let in          | | SYNCING | link lost                               | INIT    |
// "close"; what came is kept, and  | |         |                                         | | it
// waits ten times as long       | | SLAVE   | peer silent for the dead time           | MASTER  |
// "close", "listen", term + 1      | | SLAVE   | link closed                             | SLAVE |
// "close"; it dials again at once  | | SLAVE   | ... and cannot connect, or no link is   | MASTER
// | "listen", term + 1               | |         | back within takeover_grace              | | | |
// MASTER  | link lost                               | MASTER  | "close", "listen", same term     |
//
// A closed link is no proof of a dead master: this node may have been stopped for a while, or a
// byte flipped on the way. A living master answers the call and the slave stays one.
#pragma once

#include <cstdint>
#include <string_view>

namespace tandem::replication {

enum class role_state : std::uint8_t { init, syncing, slave, master };
std::string_view to_string(role_state role) noexcept;  // "INIT", "SYNCING", "SLAVE", "MASTER"

// What the verdict is drawn from: one side of a handshake.
struct standing {
  bool in_charge = false;  // is MASTER
  bool complete = false;   // was filled to the end, or is the origin of the data
  bool has_data = false;   // holds at least one item
  std::uint64_t term = 0;  // of its reign, or the last it followed
  unsigned node_id = 0;
  std::uint64_t run_id = 0;  // decides between equals
};

// Whether `a` rather than `b` is master when they meet; exactly one of (a, b), (b, a) holds when
// their run ids differ. In order: in charge; among two in charge the one with complete data, then
// the one with any; the higher term; complete; holding data; the lower node id; the lower run id.
bool leads(const standing& a, const standing& b) noexcept;

// The term in which `winner` is master after meeting `loser`: its own if it was in charge in one at
// least as high, else one above all that both have seen.
std::uint64_t term_after(const standing& winner, const standing& loser) noexcept;

}  // namespace tandem::replication
