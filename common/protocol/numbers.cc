#include "common/protocol/numbers.h"

namespace tandem::protocol {
namespace {

// isspace() of the C locale, whatever locale the process runs in.
bool is_space(char c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

struct magnitude {
  std::uint64_t value;
  bool negative;
};

std::optional<magnitude> parse_magnitude(std::string_view text) noexcept {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  bool negative = false;
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{}) return std::nullopt;
  if (stop != end && *stop != '\0' && !is_space(*stop)) return std::nullopt;
  return magnitude{value, negative};
}

}  // namespace

std::optional<std::uint64_t> parse_lenient_unsigned(std::string_view text) noexcept {
  const auto parsed = parse_magnitude(text);
  if (!parsed) return std::nullopt;
  const std::uint64_t value = parsed->negative ? 0 - parsed->value : parsed->value;
  if (parsed->negative && value >> 63 != 0) return std::nullopt;
  return value;
}

std::optional<std::int64_t> parse_lenient_signed(std::string_view text) noexcept {
  const auto parsed = parse_magnitude(text);
  if (!parsed) return std::nullopt;
  constexpr std::uint64_t lowest = std::uint64_t{1} << 63;  // -2^63, without its sign
  if (parsed->value > (parsed->negative ? lowest : lowest - 1)) return std::nullopt;
  return static_cast<std::int64_t>(parsed->negative ? 0 - parsed->value : parsed->value);
}

}  // namespace tandem::protocol
