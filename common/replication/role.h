// Who is master: the states of a node, the term, and the rule by which two nodes that meet agree.
// Pure functions of what both said in their hellos, so both come to the same verdict.
//
//   INIT     not filled, follows nobody: not serving
//   SYNCING  met a better one; being filled from it: not serving
//   SLAVE    filled, following: serving (both nodes take writes)
//   MASTER   in charge, with a peer that follows or alone: serving
//
// state    event                                     next     what happens
// -------- ----------------------------------------- -------- ---------------------------------
// INIT     no peer is configured                     MASTER   "listen", complete; ask first [1]
// INIT     nobody answered for join_timeout          MASTER   "listen", incomplete; ask first [1]
// any      a peer is met, the verdict is for us      MASTER   the term stays if in charge
// SLAVE    a peer is met, it leads, journals resume  SLAVE    its term; goes on serving
// any      a peer is met, it leads                   SYNCING  its term; clients are closed
// SYNCING  the peer says that everything is here     SLAVE    "start"; clients are let in
// SYNCING  the link is lost                          INIT     waits ten times join_timeout
// SLAVE    the peer is silent for the dead time      MASTER   "listen"; ask first [1]
// SLAVE    the link is closed                        SLAVE    dials again at once [2]
// SLAVE    ... and nobody is found in takeover_grace MASTER   "listen"; ask first [1]
// SLAVE    ... and another process answers instead   MASTER   it may know nothing; ask first [1]
// MASTER   the link is lost                          MASTER   "listen"; the same term
//
// A planned switchover (handover.h), by the command `switchover`, `promote`, `demote` or `drain`:
//
// MASTER   a command; the peer is in sync            MASTER   asks the peer to be ready
// SLAVE    a command; the link is up                 SLAVE    asks the master to hand over
// SLAVE    the master asks it to be ready            SLAVE    answers; asks first [1]
// MASTER   ... it is, and has acknowledged all       SLAVE    its own term; gives its reign away
// SLAVE    it is given the reign                     MASTER   the new term; says so
// SLAVE    ... the peer says that it reigns          SLAVE    the new term
// SLAVE    ... the peer refuses, or cannot be found  MASTER   its own old term again [3]
// any      too late, refused or the link is lost     as it was before it was given away
//
// Other commands: `promote` makes a SLAVE without a link MASTER at once, and with `force` even one
// that is not filled; `drain` and `undrain` do not change the role.
//
// A node that has no data for now (its backend is gone) stays INIT until it has, as a process that
// has just started; guests.cc has what it does meanwhile.
//
// [1] If hooks.pre_promote is configured it is asked, and until it agrees the node stays what it
//     is. After a veto it is asked again. A verdict between two nodes that meet is not asked about:
//     the other relies on it. `promote force` does not ask.
//     Meanwhile a peer that is in charge is refused; one that is not follows this node, which needs
//     nobody's consent.
// [2] A closed link is no proof of a dead master: this node may have been stopped for a while, or a
//     byte flipped on the way. A living master answers the call and the slave stays one.
// [3] Found again while it looks for the peer, it is met like any other, and the verdict decides.
//
// A new reign's term is above all terms that this node has seen, given away, or agreed to follow in
// a handshake, whether or not it ever heard of the reign: so two nodes that have met never reign in
// one term. It keeps out of the one, too, in which a node that it has only heard, and would follow,
// would go alone. (Two that were started and could never reach each other both reign in term 1.)
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
