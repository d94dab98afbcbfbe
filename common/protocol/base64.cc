#include "common/protocol/base64.h"

#include <array>
#include <cstdint>

namespace tandem::protocol {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t stranger = 0x80;

constexpr std::array<std::uint8_t, 256> make_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(stranger);
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    values[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  values['='] = 0;
  return values;
}
constexpr auto values = make_values();

std::uint32_t value_of(char c) noexcept {
  return values[static_cast<unsigned char>(c)];
}

char* write_group(char* to, std::uint32_t group, unsigned characters) noexcept {
  for (unsigned i = 0; i < 4; ++i)
    *to++ = i < characters ? alphabet[group >> (18 - 6 * i) & 63] : '=';
  return to;
}

std::uint32_t byte_at(std::string_view bytes, std::size_t i) noexcept {
  return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0;
}

}  // namespace

char* write_base64(char* to, std::string_view bytes) noexcept {
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::uint32_t group =
        byte_at(bytes, i) << 16 | byte_at(bytes, i + 1) << 8 | byte_at(bytes, i + 2);
    const std::size_t left = bytes.size() - i;
    to = write_group(to, group, left >= 3 ? 4 : static_cast<unsigned>(left) + 1);
  }
  return to;
}

std::size_t decode_base64(char* to, std::string_view text) noexcept {
  std::size_t characters = 0;
  for (const char c : text) characters += value_of(c) != stranger ? 1 : 0;
  if (characters == 0 || characters % 4 != 0) return 0;
  char* end = to;
  std::uint32_t group = 0;
  unsigned filled = 0, padding = 0;
  for (const char c : text) {
    if (value_of(c) == stranger) continue;
    if (c == '=') ++padding;
    group = group << 6 | value_of(c);
    if (++filled < 4) continue;
    if (padding > 2) return 0;
    for (unsigned i = 0; i < 3 - padding; ++i)
      *end++ = static_cast<char>(group >> (16 - 8 * i) & 0xff);
    if (padding != 0) break;
    group = filled = 0;
  }
  return static_cast<std::size_t>(end - to);
}

}  // namespace tandem::protocol
