#include "common/protocol/lines.h"

#include <algorithm>
#include <cstring>

#include "common/protocol/tokens.h"

namespace tandem::protocol {
namespace {

// Whether a line that begins like this may be long: a retrieval, behind at most this many spaces.
bool may_be_long(std::string_view beginning) noexcept {
  constexpr std::size_t leading_spaces_max = 100;
  const std::size_t start = beginning.find_first_not_of(' ');
  if (start == std::string_view::npos || start > leading_spaces_max) return false;
  const std::string_view line = beginning.substr(start);
  return line.starts_with("get ") || line.starts_with("gets ") || line.starts_with("gat ") ||
         line.starts_with("gats ");
}

}  // namespace

line_status line_finder::find(std::string_view buffered) noexcept {
  if (buffered.size() > searched_) {
    const void* lf = std::memchr(buffered.data() + searched_, '\n', buffered.size() - searched_);
    searched_ = lf ? static_cast<std::size_t>(static_cast<const char*>(lf) - buffered.data())
                   : buffered.size();
    if (lf) size_ = searched_ + 1;
  }
  if (searched_ > line_size_max) {
    const bool allowed =
        searched_ <= keys_line_size_max && may_be_long(buffered.substr(0, line_size_max));
    if (!allowed) return line_status::too_long;
  }
  return size_ != 0 ? line_status::complete : line_status::incomplete;
}

}  // namespace tandem::protocol
