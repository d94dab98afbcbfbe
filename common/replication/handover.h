// What two nodes say to each other when the mastership changes hands as planned (frames handover
// and handover_answer):
//
//   slave   ask      -> master   the operator wants it; the master goes on as if told itself
//   master  prepare  -> slave    would you reign in this term? pre_promote is asked now
//   slave   ready    -> master   I would; the master waits until all it has is acknowledged
//   master  take     -> slave    reign: the master is none from here on
//   slave   taken    -> master   I do: the old master follows in the new term
//
// With `writes: master` one node at a time executes what clients change: before `take` the master
// waits a second time, with its own clients' changes and those forwarded to it held back, until
// nothing is being executed and the last of it is acknowledged. What was held goes to the peer
// behind `take`, or is executed here if the switchover is off.
//
// Until `take` the master may cancel and the slave refuse, and all is as it was. A link that breaks
// after `take` leaves the old master with its own old term, which it takes back if it cannot find
// the new one: a term is only ever used by the node it was given to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tandem::replication {

enum class handover_step : std::uint8_t {
  ask = 1,
  prepare = 2,
  take = 3,
  cancel = 4,
  ready = 5,
  taken = 6,
  refused = 7,
};

struct handover_message {
  handover_step step;
  std::uint64_t term = 0;  // of the reign to come; 0 in ask and in a refusal of it
  std::string reason;      // of cancel and refused, one printable line
};

// A reason longer than 200 bytes is cut.
std::string encode(const handover_message& m);
// Nothing if the bytes are no such message.
std::optional<handover_message> decode_handover(std::string_view payload);

}  // namespace tandem::replication
