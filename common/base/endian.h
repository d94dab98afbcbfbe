// Little-endian loads and stores at any alignment, for the peer link's frames.
#pragma once

#include <bit>
#include <cstring>
#include <type_traits>

namespace tandem {

static_assert(std::endian::native == std::endian::little,
              "the frames are written as the processor holds them");

template <class Integer>
Integer load_le(const char* from) noexcept {
  static_assert(std::is_integral_v<Integer>);
  Integer value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class Integer>
void store_le(char* to, Integer value) noexcept {
  static_assert(std::is_integral_v<Integer>);
  std::memcpy(to, &value, sizeof value);
}

}  // namespace tandem
