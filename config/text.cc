#include "config/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

namespace tandem::config {
namespace {

struct unit {
  std::string_view name;  // lower case
  std::int64_t factor;
};

constexpr std::int64_t kilo = 1024;
constexpr std::array size_units = {
    unit{"b", 1},
    unit{"k", kilo},
    unit{"kb", kilo},
    unit{"kib", kilo},
    unit{"m", kilo* kilo},
    unit{"mb", kilo* kilo},
    unit{"mib", kilo* kilo},
    unit{"g", kilo* kilo* kilo},
    unit{"gb", kilo* kilo* kilo},
    unit{"gib", kilo* kilo* kilo},
    unit{"t", kilo* kilo* kilo* kilo},
    unit{"tb", kilo* kilo* kilo* kilo},
    unit{"tib", kilo* kilo* kilo* kilo},
};
constexpr std::array duration_units = {
    unit{"ms", 1}, unit{"s", 1000}, unit{"m", 60'000}, unit{"min", 60'000}, unit{"h", 3'600'000},
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

quantity parse_quantity(std::string_view text, std::span<const unit> units) {
  text = trim(text);
  const auto digits =
      static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin());
  quantity result;
  if (digits == 0) return result;
  const std::string_view suffix = trim(text.substr(digits));
  if (!std::all_of(suffix.begin(), suffix.end(), is_letter)) return result;
  result.unit = suffix;
  const std::optional<std::int64_t> number = parse_integer(text.substr(0, digits));
  if (!number) {
    result.status = quantity_status::too_large;
    return result;
  }
  if (suffix.empty()) {
    result.status = *number == 0 ? quantity_status::ok : quantity_status::needs_unit;
    return result;
  }
  const std::string name = lower(suffix);
  const auto found =
      std::find_if(units.begin(), units.end(), [&](const unit& u) { return u.name == name; });
  if (found == units.end()) {
    result.status = quantity_status::unknown_unit;
  } else if (*number > std::numeric_limits<std::int64_t>::max() / found->factor) {
    result.status = quantity_status::too_large;
  } else {
    result.status = quantity_status::ok;
    result.number = *number * found->factor;
  }
  return result;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

bool is_ipv4(std::string_view text) {
  const auto parts = split(text, '.');
  return parts.size() == 4 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
           const auto octet = parse_integer(part);
           return part.size() <= 3 && octet && *octet <= 255;
         });
}

// Groups of an IPv6 address or of one side of its "::"; -1 when one is malformed.
int count_groups(std::string_view text, bool may_end_in_ipv4) {
  if (text.empty()) return 0;
  const auto parts = split(text, ':');
  int groups = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string_view part = parts[i];
    if (may_end_in_ipv4 && i + 1 == parts.size() && is_ipv4(part)) {
      groups += 2;
    } else if (!part.empty() && part.size() <= 4 && std::all_of(part.begin(), part.end(), is_hex)) {
      ++groups;
    } else {
      return -1;
    }
  }
  return groups;
}

bool is_ipv6(std::string_view text) {
  if (const std::size_t zone = text.find('%'); zone != std::string_view::npos) {
    const std::string_view name = text.substr(zone + 1);
    if (name.empty() || name.size() > 15 || !std::all_of(name.begin(), name.end(), [](char c) {
          return is_digit(c) || is_letter(c) || c == '-' || c == '_' || c == '.';
        }))
      return false;
    text = text.substr(0, zone);
  }
  const std::size_t gap = text.find("::");
  if (gap == std::string_view::npos) return count_groups(text, true) == 8;
  const int left = count_groups(text.substr(0, gap), false);
  const int right = count_groups(text.substr(gap + 2), true);
  return left >= 0 && right >= 0 && left + right <= 7;
}

std::string check_host(std::string_view host) {
  if (host.empty()) return "the host is missing";
  if (host.find(':') != std::string_view::npos)
    return is_ipv6(host) ? "" : "not an IPv6 address (and a port is written [IPV6]:PORT)";
  const bool numeric =
      std::all_of(host.begin(), host.end(), [](char c) { return is_digit(c) || c == '.'; });
  if (numeric) return is_ipv4(host) ? "" : "not an IPv4 address";
  if (host.size() > 253) return "a host name has at most 253 bytes";
  auto labels = split(host, '.');
  if (labels.back().empty()) labels.pop_back();  // the dot of a fully qualified name
  for (const std::string_view label : labels) {
    const bool good =
        !label.empty() && label.size() <= 63 && std::all_of(label.begin(), label.end(), [](char c) {
          return is_digit(c) || is_letter(c) || c == '-' || c == '_';
        });
    if (!good || label.front() == '-') return "not a host name";
  }
  return "";
}

std::string folded(std::string_view text) {
  std::string result = lower(text);
  std::replace(result.begin(), result.end(), '-', '_');
  return result;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    next[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      next[j] = std::min({row[j] + 1, next[j - 1] + 1, row[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        next[j] = std::min(next[j], before[j - 2] + 1);
    }
    before = row;
    row = next;
  }
  return row[b.size()];
}

}  // namespace

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t number = 0;
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

quantity parse_size(std::string_view text) {
  return parse_quantity(text, size_units);
}
quantity parse_duration(std::string_view text) {
  return parse_quantity(text, duration_units);
}

std::string format_size(std::int64_t bytes) {
  constexpr std::array names = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t step = 0;
  while (bytes != 0 && bytes % kilo == 0 && step + 1 < names.size()) {
    bytes /= kilo;
    ++step;
  }
  return bytes == 0 ? "0" : std::to_string(bytes) + names[step];
}

std::string format_duration(std::int64_t milliseconds) {
  if (milliseconds == 0) return "0";
  if (milliseconds % 3'600'000 == 0) return std::to_string(milliseconds / 3'600'000) + "h";
  if (milliseconds % 60'000 == 0) return std::to_string(milliseconds / 60'000) + "m";
  if (milliseconds % 1000 == 0) return std::to_string(milliseconds / 1000) + "s";
  return std::to_string(milliseconds) + "ms";
}

std::string parse_endpoint(std::string_view text, endpoint& out) {
  text = trim(text);
  std::string_view host = text;
  std::optional<std::string_view> port;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return "']' is missing";
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (host.find(':') == std::string_view::npos) return "only an IPv6 address stands in brackets";
    if (!rest.empty() && rest.front() != ':') return "only :PORT may follow ']'";
    if (!rest.empty()) port = rest.substr(1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    const std::size_t colon = text.find(':');
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (std::string wrong = check_host(host); !wrong.empty()) return wrong;
  std::int64_t number = 0;
  if (port) {
    const auto parsed = parse_integer(*port);
    if (!parsed || *parsed < 1 || *parsed > 65535) return "the port must be 1..65535";
    number = *parsed;
  }
  out.host = host;
  out.port = static_cast<std::uint16_t>(number);
  return "";
}

std::string parse_listener(std::string_view text, listener& out) {
  struct prefix {
    std::string_view word;
    listener_tls means;
  };
  constexpr prefix prefixes[] = {{"notls:", listener_tls::off},
                                 {"btls:", listener_tls::basic},
                                 {"mtls:", listener_tls::required}};
  text = trim(text);
  out = {};
  for (const prefix& one : prefixes) {
    if (!text.starts_with(one.word)) continue;
    out.tls = one.means;
    text.remove_prefix(one.word.size());
    break;
  }
  for (const std::string_view word : {"proto[", "proto_", "tag[", "tag_"})
    if (text.starts_with(word)) return "protocols and tags of single addresses are not offered";
  const bool any = text == "*" || text.starts_with("*:");
  if (!any) return parse_endpoint(text, out.where);
  // Any name will do for the port to be read.
  std::string named(text);
  named.replace(0, 1, "localhost");
  std::string wrong = parse_endpoint(named, out.where);
  out.where.host.clear();
  return wrong;
}

std::string format_endpoint(const endpoint& where) {
  if (where.port == 0) return where.host;
  const bool v6 = where.host.find(':') != std::string::npos;
  return (v6 ? "[" + where.host + "]" : where.host) + ":" + std::to_string(where.port);
}

bool is_loopback(std::string_view host) {
  return lower(host) == "localhost" || host == "::1" || (host.starts_with("127.") && is_ipv4(host));
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> entries;
  if (trim(text).empty()) return entries;
  for (const std::string_view part : split(text, ',')) entries.emplace_back(trim(part));
  return entries;
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto at = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
    const unsigned lead = at(i);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xc2 && lead < 0xe0 ? 2
                               : lead >= 0xe0 && lead < 0xf0 ? 3
                               : lead >= 0xf0 && lead < 0xf5 ? 4
                                                             : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((at(i + k) & 0xc0) != 0x80) return false;
    // Overlong forms, surrogates and what lies above U+10FFFF.
    if ((lead == 0xe0 && at(i + 1) < 0xa0) || (lead == 0xed && at(i + 1) > 0x9f) ||
        (lead == 0xf0 && at(i + 1) < 0x90) || (lead == 0xf4 && at(i + 1) > 0x8f))
      return false;
    i += length;
  }
  return true;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
  constexpr std::size_t word_bytes_max = 64;  // bounds the work; no key is half as long
  if (word.size() > word_bytes_max) return {};
  const std::string wanted = folded(word);
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, wanted.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(wanted, folded(candidate));
    // A word all of whose letters would change is no misspelling.
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace tandem::config
