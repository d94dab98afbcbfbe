// What happens to a node and what it wants done: the whole surface between the replication core and
// the world. The core never calls out; proxy/ (and the simulator) feed events and obey effects in
// order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/replication/acks.h"
#include "common/replication/routing.h"
#include "common/replication/secret.h"

namespace tandem::replication {

// One TCP connection to the peer. Ids of dialled ones are given by the node and odd; ids of
// accepted ones are given by the caller and even. Never reused.
using session_id = std::uint64_t;

// Programs of the operator's that are run when the role changes.
enum class hook : std::uint8_t {
  pre_promote,   // before this node becomes master by its own decision or by a switchover: may veto
  post_promote,  // it has become master
  post_demote,   // it has ceased to be
  split_heal,    // two masters have met, and their data are one again
};
std::string_view to_string(hook which) noexcept;  // "pre_promote" and so on

namespace event {

struct started {};

// deadline() has passed.
struct tick {};

// An effect::dial succeeded, or did not. fresh: needed only where there is a secret.
struct dialed {
  session_id session;
  nonce fresh{};
};
struct dial_failed {
  session_id session;
  std::string reason;
};

// from: HOST:PORT, for the log.
struct accepted {
  session_id session;
  std::string from;
  nonce fresh{};
};

// Borrowed for the step.
struct received {
  session_id session;
  std::string_view bytes;
};

// So much of its sends is with the kernel.
struct sent {
  session_id session;
  std::size_t bytes;
};

// By the peer or an error. untrusted: TLS broke, for a certificate most likely.
struct closed {
  session_id session;
  std::string reason;
  bool untrusted = false;
};

// Something was journaled.
struct mutated {};

// The link's port is open.
struct listening {};

// A reply has waited for ack_timeout under reply_rule::when_confirmed.
struct ack_late {};

// A client's request, of one or more whole commands, is to be executed by the master. The id is the
// caller's and rises; one effect::forward_done will carry it.
struct forward {
  std::uint64_t id;
  std::string bytes;
};

// What an effect::execute came to: the answer, and what it has changed.
struct executed {
  session_id session;
  std::uint64_t id;
  std::string bytes;
  std::vector<mutation_mark> marks;
};

// An effect::fence is done.
struct fenced {
  std::uint64_t id;
};

// A line from an operator (commands.h). The id is the caller's, never reused; exactly one
// effect::answer will carry it, in this step or a later one.
struct command {
  std::uint64_t id;
  std::string text;
};

// Other secrets count from the next handshake on; at least one, as there was before.
struct rekeyed {
  secrets known;
};

// A program of effect::run_hook has ended: well (exit status 0), or how else.
struct hook_done {
  std::uint64_t id;
  bool ok;
  std::string how;
};

}  // namespace event

using any_event =
    std::variant<event::started, event::tick, event::dialed, event::dial_failed, event::accepted,
                 event::received, event::sent, event::closed, event::mutated, event::listening,
                 event::ack_late, event::forward, event::executed, event::fenced, event::command,
                 event::rekeyed, event::hook_done>;

namespace effect {

// Connect to the configured peer.
struct dial {
  session_id session;
};

struct send {
  session_id session;
  std::string bytes;
};

// After what was sent, which need not arrive if it is `at_once`; no closed event follows.
struct close {
  session_id session;
  bool at_once = false;
};

// Open the client port (and take clients), or close it and every client connection.
struct serve {
  bool open;
};

// From now on this holds for replies to mutations. Before the first one: when_confirmed.
struct replies {
  reply_rule rule;
};

// From now on this holds for commands of clients. Before the first one: here, and not through.
struct routes {
  write_place writes = write_place::here;
  bool reads_through = false;  // what would miss is asked of the peer
  friend bool operator==(const routes&, const routes&) = default;
};

// Tell by event::fenced when nothing of a client's is being executed any more that was looked at by
// routes from before.
struct fence {
  std::uint64_t id;
};

// Execute a request of the peer's client and answer with event::executed.
struct execute {
  session_id session;
  std::uint64_t id;
  std::string bytes;
};

// What became of an event::forward. bytes: the answer, if there is one.
struct forward_done {
  std::uint64_t id;
  forward_outcome outcome;
  std::string bytes;
};

// A line for the log.
enum class level : std::uint8_t { debug, info, warning, error };
struct note {
  level severity;
  std::string text;
};

// To event::command. ok: `text` is what was asked for, lines that end with '\n' (none: done, and
// nothing to tell); else why not, without a line's end.
struct answer {
  std::uint64_t id;
  bool ok;
  std::string text;
};

// Run the operator's program, after those that were asked for before, and tell by hook_done, within
// a time limit, how it ended. The variables are to be in its environment, behind "MEMTANDEM_".
struct run_hook {
  std::uint64_t id;
  hook which;
  std::vector<std::pair<std::string, std::string>> variables;
};

// Close every client connection; new ones are taken as before.
struct close_clients {};

// on: take no new clients, and let those that are there go when they are idle; else as before.
struct drain {
  bool on;
};

}  // namespace effect

using any_effect =
    std::variant<effect::dial, effect::send, effect::close, effect::serve, effect::replies,
                 effect::routes, effect::fence, effect::execute, effect::forward_done, effect::note,
                 effect::answer, effect::run_hook, effect::close_clients, effect::drain>;

}  // namespace tandem::replication
