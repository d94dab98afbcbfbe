#include "common/service/credentials.h"

namespace tandem::service {
namespace {

// Not memcmp: how long that takes tells how much of a guess was right.
bool same(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  unsigned char different = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    different = static_cast<unsigned char>(different | (a[i] ^ b[i]));
  return different == 0;
}

}  // namespace

credentials::result credentials::parse(std::string_view text) {
  result parsed;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::string where = "line " + std::to_string(number) + ": ";
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || line.find('\0') != std::string_view::npos) {
      parsed.error = where + "not USER:PASSWORD";
      return parsed;
    }
    if (line.size() > line_bytes_max) {
      parsed.error = where + "longer than " + std::to_string(line_bytes_max) + " bytes";
      return parsed;
    }
    if (parsed.users.size() == users_max)
      ++parsed.ignored;
    else
      parsed.users.users_.push_back(
          {std::string(line.substr(0, colon)), std::string(line.substr(colon + 1))});
  }
  if (parsed.users.size() == 0) parsed.error = "it holds no USER:PASSWORD line";
  return parsed;
}

bool credentials::accept(std::string_view user_name, std::string_view password) const noexcept {
  bool found = false;
  for (const user& one : users_) found |= same(one.name, user_name) && same(one.password, password);
  return found;
}

}  // namespace tandem::service
