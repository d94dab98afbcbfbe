// The words of a command line. Only the space separates: tabs, control characters, NUL and 8-bit
// bytes belong to words, as in memcached.
#pragma once

#include <cstring>
#include <string_view>

namespace tandem::protocol {

// Hands out a line's words from left to right as views into it; allocates nothing.
class token_cursor {
 public:
  explicit token_cursor(std::string_view text) : rest_(text) {}

  // The next word; empty when there is none left.
  std::string_view next() noexcept {
    skip_spaces();
    const void* space = rest_.empty() ? nullptr : std::memchr(rest_.data(), ' ', rest_.size());
    const std::size_t length =
        space ? static_cast<std::size_t>(static_cast<const char*>(space) - rest_.data())
              : rest_.size();
    const std::string_view word = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return word;
  }
  // What is left, from the next word on; empty when there is no word left.
  std::string_view rest() noexcept {
    skip_spaces();
    return rest_;
  }

 private:
  void skip_spaces() noexcept {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }

  std::string_view rest_;
};

// The last word of `text`; empty when there is none.
inline std::string_view last_token(std::string_view text) noexcept {
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  const std::size_t space = text.rfind(' ');
  return space == std::string_view::npos ? text : text.substr(space + 1);
}

}  // namespace tandem::protocol
