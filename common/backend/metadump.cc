#include "common/backend/metadump.h"

#include <algorithm>
#include <charconv>

#include "common/protocol/numbers.h"
#include "common/protocol/request.h"
#include "common/protocol/tokens.h"

namespace tandem::backend {

namespace {

bool separates(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\0';
}

}  // namespace

bool decode_key(std::string_view text, std::string& key) {
  key.clear();
  while (!text.empty()) {
    unsigned byte = static_cast<unsigned char>(text.front());
    std::size_t taken = 1;
    if (byte == '%') {
      taken = 3;
      if (text.size() < taken) return false;
      const auto [stop, error] = std::from_chars(text.data() + 1, text.data() + taken, byte, 16);
      if (error != std::errc{} || stop != text.data() + taken) return false;
    }
    key.push_back(static_cast<char>(byte));
    text.remove_prefix(taken);
  }
  return !key.empty() && key.size() <= protocol::key_size_max;
}

dump_line read_dump_line(std::string_view line, dumped_item& item) {
  if (line == "END") return dump_line::end;
  if (line == "OK") return dump_line::begin;
  if (line.starts_with("BUSY") || line.starts_with("ERROR locked")) return dump_line::later;
  item = {};
  protocol::token_cursor words(line);
  for (auto word = words.next(); !word.empty(); word = words.next()) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) return dump_line::malformed;
    const std::string_view name = word.substr(0, equals), value = word.substr(equals + 1);
    if (name == "key" && !decode_key(value, item.key)) return dump_line::malformed;
    if (name == "exp" && value != "-1") {
      const auto at = protocol::parse_strict<std::int64_t>(value);
      if (!at) return dump_line::malformed;
      item.exptime = static_cast<std::uint32_t>(std::clamp<std::int64_t>(*at, 1, UINT32_MAX));
    }
    if (name == "cas") item.cas = protocol::parse_strict<std::uint64_t>(value).value_or(0);
  }
  item.binary = std::any_of(item.key.begin(), item.key.end(), separates);
  return item.key.empty() ? dump_line::malformed : dump_line::item;
}

}  // namespace tandem::backend
