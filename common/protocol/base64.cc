#include "common/protocol/base64.h"

#include <cstdint>

namespace tandem::protocol {

char* write_base64(char* to, std::string_view bytes) noexcept {
  constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const auto byte = [&](std::size_t i) -> std::uint32_t {
    return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0;
  };
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::uint32_t three = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    *to++ = digits[three >> 18];
    *to++ = digits[three >> 12 & 63];
    *to++ = i + 1 < bytes.size() ? digits[three >> 6 & 63] : '=';
    *to++ = i + 2 < bytes.size() ? digits[three & 63] : '=';
  }
  return to;
}

}  // namespace tandem::protocol
