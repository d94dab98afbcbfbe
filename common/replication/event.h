// What happens to a node and what it wants done: the whole surface between the replication core and
// the world. The core never calls out; proxy/ (and the simulator) feed events and obey effects in
// order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace tandem::replication {

// One TCP connection to the peer. Ids of dialled ones are given by the node and odd; ids of
// accepted ones are given by the caller and even. Never reused.
using session_id = std::uint64_t;

namespace event {
struct started {};
struct tick {};  // deadline() has passed
struct dialed {
  session_id session;
};  // an effect::dial succeeded
struct dial_failed {
  session_id session;
  std::string reason;
};
struct accepted {
  session_id session;
  std::string from;
};  // from: HOST:PORT, for the log
struct received {
  session_id session;
  std::string_view bytes;
};  // borrowed for the step
struct sent {
  session_id session;
  std::size_t bytes;
};  // so much of its sends is with the kernel
struct closed {
  session_id session;
  std::string reason;
};                    // by the peer or an error
struct mutated {};    // something was journaled
struct listening {};  // the link's port is open
}  // namespace event

using any_event =
    std::variant<event::started, event::tick, event::dialed, event::dial_failed, event::accepted,
                 event::received, event::sent, event::closed, event::mutated, event::listening>;

namespace effect {
struct dial {
  session_id session;
};  // connect to the configured peer
struct send {
  session_id session;
  std::string bytes;
};
struct close {
  session_id session;
};  // after what was sent; no closed event follows
// Open the client port (and take clients), or close it and every client connection.
struct serve {
  bool open;
};
enum class level : std::uint8_t { debug, info, warning, error };
struct note {
  level severity;
  std::string text;
};  // a line for the log
}  // namespace effect

using any_effect =
    std::variant<effect::dial, effect::send, effect::close, effect::serve, effect::note>;

}  // namespace tandem::replication
