// Numbers as the text protocol writes and reads them. memcached has two readers, and clients see
// the difference: a strict one (digits only) for lengths, deltas, CAS uniques and the exptimes of
// touch, gat and flush_all, and one with strtol's manners for the flags and exptimes of the storage
// commands and for the values that incr and decr change.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace tandem::protocol {

// Decimal digits, for signed types with an optional '-'; nothing else, in the type's range, and not
// more characters than memcached reads.
template <std::integral Integer>
std::optional<Integer> parse_strict(std::string_view text) noexcept {
  constexpr std::size_t characters_max = sizeof(Integer) == 4 ? 11 : 22;
  if (text.size() > characters_max) return std::nullopt;
  Integer value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

// As strtoull: white space, a sign, digits, and then the end, white space or a NUL with anything
// behind it. A minus sign is refused unless what it makes, modulo 2^64, is below 2^63.
std::optional<std::uint64_t> parse_lenient_unsigned(std::string_view text) noexcept;

// As strtoll, in the same frame.
std::optional<std::int64_t> parse_lenient_signed(std::string_view text) noexcept;

// Decimal digits of any unsigned 64-bit number.
constexpr std::size_t digits_max = std::numeric_limits<std::uint64_t>::digits10 + 1;

// Writes `value` in decimal to `to` (room for digits_max); returns the end.
inline char* write_number(char* to, std::uint64_t value) noexcept {
  return std::to_chars(to, to + digits_max, value).ptr;
}

}  // namespace tandem::protocol
