// A key as dumps and logs print it: keys hold any byte but space and line end.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace tandem::protocol {

// Room for write_uri() of `n` bytes.
constexpr std::size_t uri_size_max(std::size_t n) {
  return 3 * n;
}

namespace detail {

constexpr bool is_plain_in_uri(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

// One lookup a byte: a dump writes millions of keys.
inline constexpr auto plain_in_uri = [] {
  std::array<bool, 256> plain{};
  for (unsigned c = 0; c < plain.size(); ++c)
    plain[c] = is_plain_in_uri(static_cast<unsigned char>(c));
  return plain;
}();

}  // namespace detail

// Percent-encoded as RFC 3986 has it, with capital digits; returns the end.
inline char* write_uri(char* to, std::string_view bytes) noexcept {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (detail::plain_in_uri[byte]) {
      *to++ = c;
      continue;
    }
    *to++ = '%';
    *to++ = digits[byte >> 4];
    *to++ = digits[byte & 15];
  }
  return to;
}

}  // namespace tandem::protocol
