// Base64, as keys are printed that were stored through it. Pure, allocates nothing, any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace tandem::protocol {

constexpr std::size_t base64_size(std::size_t bytes) noexcept {
  return (bytes + 2) / 3 * 4;
}

// Writes base64_size(bytes.size()) characters to `to`; returns the end.
char* write_base64(char* to, std::string_view bytes) noexcept;

}  // namespace tandem::protocol
