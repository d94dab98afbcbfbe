#include "common/backend/reply.h"

#include <algorithm>
#include <optional>

#include "common/protocol/numbers.h"
#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"

namespace tandem::backend {

namespace reply = protocol::reply;

namespace {

// No line of a reply is longer: a key in base64, an opaque and some numbers.
constexpr std::size_t line_max = 4096;
constexpr std::string_view value_word = "VALUE ";

// The number of data bytes, CR LF included, that a line announces as its word `place`.
std::optional<std::size_t> announced(std::string_view line, unsigned place) noexcept {
  protocol::token_cursor words(line.substr(0, line.size() - 1));
  std::string_view word;
  for (unsigned i = 0; i <= place; ++i) word = words.next();
  if (word.ends_with('\r')) word.remove_suffix(1);
  const auto bytes = protocol::parse_strict<std::uint32_t>(word);
  if (!bytes) return std::nullopt;
  return std::size_t{*bytes} + reply::crlf.size();
}

}  // namespace

reply_finder::status reply_finder::need(std::size_t bytes) noexcept {
  size_ = bytes;
  return status::incomplete;
}

reply_finder::status reply_finder::finish(std::size_t bytes) noexcept {
  size_ = bytes;
  return status::complete;
}

reply_finder::status reply_finder::find(std::string_view buffered, reply_shape shape) noexcept {
  while (true) {
    const std::string_view rest = buffered.substr(begun_);
    const std::size_t line = rest.find('\n') + 1;
    if (line == 0) return rest.size() > line_max ? status::malformed : need(buffered.size() + 1);
    const std::string_view text = rest.substr(0, line);
    if (shape == reply_shape::quiet && text != "MN\r\n") {
      begun_ += line;
      continue;
    }
    const bool value = shape == reply_shape::values && is_value(text);
    const bool meta = shape == reply_shape::meta && text.starts_with("VA ");
    if (!value && !meta) return finish(begun_ + line);
    const auto data = announced(text, value ? 3 : 1);
    if (!data) return status::malformed;
    const std::size_t whole = begun_ + line + *data;
    if (buffered.size() < whole) return need(whole);
    if (!buffered.substr(0, whole).ends_with(reply::crlf)) return status::malformed;
    if (meta) return finish(whole);
    begun_ = whole;
  }
}

reply_finder::status reply_finder::find_value(std::string_view buffered,
                                              std::string_view key) noexcept {
  const std::size_t line = buffered.find('\n') + 1;
  if (line == 0) return buffered.size() > line_max ? status::malformed : need(buffered.size() + 1);
  if (!is_value_of(key, buffered)) return finish(0);
  const auto data = announced(buffered.substr(0, line), 3);
  if (!data) return status::malformed;
  const std::size_t whole = line + *data;
  if (buffered.size() < whole) return need(whole);
  if (!buffered.substr(0, whole).ends_with(reply::crlf)) return status::malformed;
  return finish(whole);
}

bool is_value(std::string_view reply) noexcept {
  return reply.starts_with(value_word);
}

bool is_value_of(std::string_view key, std::string_view reply) noexcept {
  if (!is_value(reply)) return false;
  reply.remove_prefix(value_word.size());
  return reply.starts_with(key) && reply.substr(key.size()).starts_with(' ');
}

std::string_view for_client(treatment how, std::string_view text) noexcept {
  switch (how) {
    case treatment::as_is:
      return text;
    case treatment::values_only:
      if (text.ends_with(reply::end)) text.remove_suffix(reply::end.size());
      return text;
    case treatment::storage_word:
      if (text.starts_with("HD")) return reply::stored;
      if (text.starts_with("NS")) return reply::not_stored;
      if (text.starts_with("EX")) return reply::exists;
      if (text.starts_with("NF")) return reply::not_found;
      return text;
    case treatment::number:
      if (text.starts_with("NF")) return reply::not_found;
      if (text.starts_with("VA ")) text.remove_prefix(text.find('\n') + 1);
      return text;
    case treatment::quiet_get:
      return text.starts_with("EN") ? std::string_view() : text;
    case treatment::quiet:
      return text.starts_with("HD") || text.starts_with("VA") ? std::string_view() : text;
    case treatment::nothing:
      return {};
  }
  return text;
}

// EX EXISTS EN END ERROR, NS NF NOT_STORED NOT_FOUND, CLIENT_ERROR: their first letter tells.
bool happened(change what, std::string_view text) noexcept {
  if (what == change::none || text.empty()) return false;
  if (what == change::won) {
    const std::string_view line = text.substr(0, text.find('\r'));
    return line.ends_with(" W") || line.find(" W ") != std::string_view::npos;
  }
  const char first = text.front();
  if (what == change::removed && first == 'N') return true;
  return first != 'E' && first != 'N' && first != 'C';
}

}  // namespace tandem::backend
