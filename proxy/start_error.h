// The operating system refused something that the daemon cannot start without: an address, a file,
// a user. Caught in main, which prints it and exits with 71 (EX_OSERR of sysexits.h).
#pragma once

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

namespace tandem::proxy {

class start_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  // "WHAT: the text of errno"
  static start_error from_errno(const std::string& what) {
    return start_error(what + ": " + std::generic_category().message(errno));
  }
};

}  // namespace tandem::proxy
