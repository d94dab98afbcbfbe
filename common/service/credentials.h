// Who may use the cache: the users and passwords of memcached's -Y file, and the check of one. A
// value; reading it from several threads is fine.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::service {

class credentials {
 public:
  // memcached looks at so many lines and no more.
  static constexpr std::size_t users_max = 8;
  // Of a line, its end left out.
  static constexpr std::size_t line_bytes_max = 254;

  struct result;
  // `text`: a line USER:PASSWORD for each user; the first colon separates them. Every line must be
  // one, but the last needs no line end.
  static result parse(std::string_view text);

  // Takes the same time for every wrong password of the right length.
  bool accept(std::string_view user, std::string_view password) const noexcept;
  std::size_t size() const noexcept { return users_.size(); }

 private:
  struct user {
    std::string name;
    std::string password;
  };
  std::vector<user> users_;
};

struct credentials::result {
  credentials users;
  std::string error;        // empty: users holds at least one
  std::size_t ignored = 0;  // lines beyond users_max
};

}  // namespace tandem::service
