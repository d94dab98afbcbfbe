// What a client's reply waits for (replication.ack), in words that the core, the service and the
// simulator share.
#pragma once

#include <cstdint>
#include <string_view>

namespace tandem::replication {

enum class ack_mode : std::uint8_t {
  async,     // for nothing
  semisync,  // for the peer's acknowledgement, unless the peer is too slow or not there
  sync,      // for the peer's acknowledgement, and it is an error if that does not come
};
constexpr std::string_view to_string(ack_mode mode) noexcept {
  switch (mode) {
    case ack_mode::async:
      return "async";
    case ack_mode::semisync:
      return "semisync";
    case ack_mode::sync:
      return "sync";
  }
  return "?";
}

// The rule of the moment for replies to mutations; the core decides it (acks.cc).
enum class reply_rule : std::uint8_t {
  at_once,         // they do not wait
  when_confirmed,  // they wait until the peer has the mutation
  refuse,          // nobody is there to confirm anything: they are errors
};
constexpr std::string_view to_string(reply_rule rule) noexcept {
  switch (rule) {
    case reply_rule::at_once:
      return "at_once";
    case reply_rule::when_confirmed:
      return "when_confirmed";
    case reply_rule::refuse:
      return "refuse";
  }
  return "?";
}

}  // namespace tandem::replication
