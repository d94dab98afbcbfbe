// The users that may log in: the file of memcached's -Y, and what was last read from it. Any thread
// after it is made.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "common/service/credentials.h"

namespace tandem::proxy {

class user_file {
 public:
  static constexpr std::size_t bytes_max = std::size_t{64} << 10;

  // Reads it; throws start_error.
  explicit user_file(const std::string& path);

  // Reads it again and says in the log how that went. If anything is wrong with it the users stay
  // as they were. Who has logged in stays in.
  void reload();
  bool accept(std::string_view user, std::string_view password) const;

 private:
  // Empty, or what is wrong.
  std::string read();

  const std::string path_;  // absolute
  mutable std::mutex mutex_;
  std::shared_ptr<const service::credentials> users_;
};

}  // namespace tandem::proxy
