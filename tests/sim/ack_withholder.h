// A fault in the core's own words: a peer that applies and lives but does not acknowledge. Of the
// frames that a node sends, acknowledgements become answers to a ping (the same size, and as good a
// sign of life); when the fault is over, the next answer becomes the last acknowledgement held
// back.
#pragma once

#include <optional>
#include <string>

namespace tandem::sim {

// Of one connection and direction.
class ack_withholder {
 public:
  // `frames`: whole frames as a node hands them over, changed in place.
  void pass(std::string& frames, bool withholding);

 private:
  std::optional<std::string> held_;  // the payload of the last acknowledgement held back
};

}  // namespace tandem::sim
