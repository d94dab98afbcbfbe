// Numbers with units, endpoints and near misses, as people write them in a file or on a command
// line. Pure functions, any thread; views are borrowed for the call.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/options.h"

namespace tandem::config {

// Decimal digits only: no sign, no 0x, no separators. Empty when it is anything else or above
// 2^63-1.
std::optional<std::int64_t> parse_integer(std::string_view text);

// Whether it consists of decimal digits, at least one.
bool all_digits(std::string_view text);

// A whole number with the unit that follows it, spaces between them allowed.
enum class quantity_status { ok, malformed, needs_unit, unknown_unit, too_large };
struct quantity {
  quantity_status status = quantity_status::malformed;
  std::int64_t number = 0;  // bytes or milliseconds
  std::string unit;         // as written
};

// Bytes: B, k, KiB, KB and so on to t, in any case. All are powers of 1024, memcached's custom.
// "0" needs no unit.
quantity parse_size(std::string_view text);
// Milliseconds: ms, s, m or min, h. "0" needs no unit.
quantity parse_duration(std::string_view text);

// In the largest unit that leaves a whole number, as the two functions above read it.
std::string format_size(std::int64_t bytes);
std::string format_duration(std::int64_t milliseconds);

// HOST, HOST:PORT, IPV6, [IPV6] or [IPV6]:PORT, where a colon that could be either belongs to the
// IPv6 address. Port 0 in `out`: none was given. Returns what is wrong, empty when nothing is.
// Names are not resolved.
[[nodiscard]] std::string parse_endpoint(std::string_view text, endpoint& out);
// The inverse; port 0 is left out.
std::string format_endpoint(const endpoint& where);
// How TLS is done at one of the clients' addresses, where it is on at all.
enum class listener_tls {
  common,   // as `tls.verify` says
  off,      // "notls:"
  basic,    // "btls:": no certificate is asked of the client
  required  // "mtls:": the client needs one
};
struct listener {
  endpoint where;  // an empty host: every address of this host
  listener_tls tls = listener_tls::common;
};
// parse_endpoint's forms with '*' for every host, and behind "notls:", "btls:" or "mtls:".
[[nodiscard]] std::string parse_listener(std::string_view text, listener& out);
// 127.0.0.0/8, ::1 and localhost.
bool is_loopback(std::string_view host);

std::string_view trim(std::string_view text);
std::string lower(std::string_view text);
// Comma-separated, trimmed; an empty text has no entries.
std::vector<std::string> split_list(std::string_view text);
bool is_utf8(std::string_view text);

// The candidate that `word` most likely meant: letter case and '-' for '_' cost nothing, a missing,
// added, changed or swapped letter costs one (optimal string alignment). Empty when none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace tandem::config
