// One line of a `watch` stream without its time and number, in the words of memcached 1.6.45's log:
// `type=item_get key=...`. Built in place; what does not fit is cut off, and a control character,
// which could end the line, is a '?'. One thread.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <string_view>

#include "common/protocol/key_text.h"
#include "common/protocol/request.h"

namespace tandem::service {

class watch_line {
 public:
  explicit watch_line(std::string_view type) {
    append("type=");
    append(type);
  }

  // Values without spaces, but for the last one of a line.
  watch_line& add(std::string_view name, std::string_view value) {
    begin(name);
    append(value);
    return *this;
  }
  template <std::integral Integer>
  watch_line& add(std::string_view name, Integer value) {
    char digits[24];
    const char* const end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    return add(name, std::string_view(digits, static_cast<std::size_t>(end - digits)));
  }
  watch_line& add_key(std::string_view key) {
    char text[protocol::uri_size_max(protocol::key_size_max)];
    const char* const end = protocol::write_uri(text, key.substr(0, protocol::key_size_max));
    return add("key", std::string_view(text, static_cast<std::size_t>(end - text)));
  }

  std::string_view view() const { return {text_.data(), size_}; }

 private:
  void begin(std::string_view name) {
    append(" ");
    append(name);
    append("=");
  }
  void append(std::string_view text) {
    for (const char c : text.substr(0, text_.size() - size_))
      text_[size_++] = static_cast<unsigned char>(c) < ' ' ? '?' : c;
  }

  // The longest key and 250 bytes for the rest.
  std::array<char, 1024> text_;
  std::size_t size_ = 0;
};

}  // namespace tandem::service
