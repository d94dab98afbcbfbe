// The one exception of start-up and configuration. It carries every complaint found, not the first
// one; main prints a line for each and exits with 78 (EX_CONFIG of sysexits.h).
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace tandem::config {

class config_error : public std::runtime_error {
 public:
  // At least one message, each a whole line: "FILE:LINE:COL: text", "-p: text" or "VARIABLE: text".
  explicit config_error(std::vector<std::string> messages)
      : std::runtime_error(messages.empty() ? "bad configuration" : messages.front()),
        messages_(std::move(messages)) {}

  const std::vector<std::string>& messages() const noexcept { return messages_; }

 private:
  std::vector<std::string> messages_;
};

}  // namespace tandem::config
