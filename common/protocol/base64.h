// Base64 as memcached reads and writes keys: characters outside the alphabet are passed over, the
// first padded group ends the text. Pure, allocates nothing, any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace tandem::protocol {

constexpr std::size_t base64_size(std::size_t bytes) noexcept {
  return (bytes + 2) / 3 * 4;
}
// The most that a text of `characters` can stand for.
constexpr std::size_t base64_decoded_max(std::size_t characters) noexcept {
  return characters / 4 * 3;
}

// Writes base64_size(bytes.size()) characters to `to`; returns the end.
char* write_base64(char* to, std::string_view bytes) noexcept;

// Writes at most base64_decoded_max(text.size()) bytes to `to`; returns how many, 0: the text is
// none (no whole groups of four, or padding where none can be).
std::size_t decode_base64(char* to, std::string_view text) noexcept;

}  // namespace tandem::protocol
