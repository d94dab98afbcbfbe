#include "common/protocol/parser.h"

#include "common/protocol/meta_parser.h"
#include "common/protocol/numbers.h"
#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"

namespace tandem::protocol {
namespace {

// Lines shorter than this, line end included, hold no command, but for one.
constexpr std::size_t line_size_min = 4;
constexpr std::string_view shortest_noop = "mn\n";

bool asks_for_silence(std::string_view arguments) noexcept {
  return last_token(arguments) == "noreply";
}

// get gets: <key>+
void parse_keys(request& r, token_cursor words) noexcept {
  r.rest = words.rest();
  if (r.rest.empty()) return refuse(r, reply::bad_format);
  // Checked before any key is looked up: the error stands in for the whole reply.
  for (auto key = words.next(); !key.empty(); key = words.next()) {
    if (key.size() > key_size_max) return refuse(r, reply::bad_format);
  }
}

// gat gats: <exptime> <key>+
void parse_touching_keys(request& r, token_cursor words) noexcept {
  const auto exptime = words.next();
  if (words.rest().empty()) return refuse(r, reply::bad_format);
  const auto seconds = parse_strict<std::int32_t>(exptime);
  if (!seconds) return refuse(r, reply::bad_exptime);
  r.exptime = *seconds;
  parse_keys(r, words);
}

// set add replace append prepend: <key> <flags> <exptime> <bytes> [noreply]
// cas: <key> <flags> <exptime> <bytes> <unique> [noreply]
void parse_storage(request& r, token_cursor words) noexcept {
  const std::string_view arguments = words.rest();
  r.key = words.next();
  const auto flags_word = words.next();
  const auto exptime_word = words.next();
  // Without a length nobody knows where the next command starts, so nothing is swallowed and even
  // a noreply is not believed.
  const auto bytes = parse_strict<std::int32_t>(words.next());
  if (!bytes || *bytes < 0 || *bytes > value_bytes_max) return refuse(r, reply::bad_format);
  r.has_block = true;
  r.value_bytes = static_cast<std::uint32_t>(*bytes);
  r.noreply = asks_for_silence(arguments);

  const auto flags = parse_lenient_unsigned(flags_word);
  const auto exptime = parse_lenient_signed(exptime_word);
  if (r.key.size() > key_size_max || !flags || !exptime) return refuse(r, reply::bad_format);
  // Both are cut to 32 bits without complaint.
  r.flags = static_cast<std::uint32_t>(*flags);
  r.exptime = static_cast<std::int32_t>(*exptime);
  if (r.what == verb::cas) {
    const auto unique = parse_strict<std::uint64_t>(words.next());
    if (!unique) return refuse(r, reply::bad_format);
    r.number = *unique;
  }
}

// delete: <key> [0] [noreply]; the 0 is a delay that old PHP clients still send.
void parse_delete(request& r, token_cursor words) noexcept {
  const std::string_view arguments = words.rest();
  r.key = words.next();
  if (r.key.empty()) return refuse(r, reply::bad_format);
  r.noreply = asks_for_silence(arguments);
  auto extra = words.next();
  if (extra == "0") extra = words.next();
  if (extra == "noreply") extra = words.next();
  if (!extra.empty()) return refuse(r, reply::bad_delete);
  if (r.key.size() > key_size_max) return refuse(r, reply::bad_format);
}

// incr decr: <key> <delta> [noreply]; touch: <key> <exptime> [noreply]
void parse_key_and_number(request& r, token_cursor words) noexcept {
  const std::string_view arguments = words.rest();
  r.key = words.next();
  const auto argument = words.next();
  if (argument.empty()) return refuse(r, reply::bad_format);
  r.noreply = asks_for_silence(arguments);
  if (r.key.size() > key_size_max) return refuse(r, reply::bad_format);
  if (r.what == verb::touch) {
    const auto exptime = parse_strict<std::int32_t>(argument);
    if (!exptime) return refuse(r, reply::bad_exptime);
    r.exptime = *exptime;
    return;
  }
  const auto delta = parse_strict<std::uint64_t>(argument);
  if (!delta) return refuse(r, reply::bad_delta);
  r.number = *delta;
}

// flush_all: [<delay>] [noreply]
void parse_flush_all(request& r, token_cursor words) noexcept {
  r.noreply = asks_for_silence(words.rest());
  const auto delay = words.next();
  if (delay.empty() || (delay == "noreply" && words.rest().empty())) return;
  const auto seconds = parse_strict<std::int32_t>(delay);
  if (!seconds) return refuse(r, reply::bad_exptime);
  r.exptime = *seconds;
}

// verbosity, cache_memlimit: <number> [noreply]
void parse_number(request& r, token_cursor words, std::string_view error) noexcept {
  r.noreply = asks_for_silence(words.rest());
  const auto number = parse_strict<std::uint32_t>(words.next());
  if (!number) return refuse(r, error);
  r.number = *number;
}

// shutdown: [graceful]
void parse_shutdown(request& r, token_cursor words) noexcept {
  r.noreply = asks_for_silence(words.rest());
  const auto word = words.next();
  auto mode = shutdown_mode::unknown;
  if (word.empty())
    mode = shutdown_mode::plain;
  else if (word == "graceful" && words.rest().empty())
    mode = shutdown_mode::graceful;
  r.number = static_cast<std::uint64_t>(mode);
}

void parse_unknown(request& r, std::string_view arguments) noexcept {
  const std::string_view last = last_token(arguments);
  if (last.starts_with("HTTP/")) {
    r.todo = action::close;  // a browser, or a request forged through one
    return;
  }
  r.noreply = last == "noreply";
  refuse(r, reply::unknown_command);
}

void parse_arguments(request& r, token_cursor words) noexcept {
  switch (r.what) {
    case verb::get:
    case verb::gets:
      return parse_keys(r, words);
    case verb::gat:
    case verb::gats:
      return parse_touching_keys(r, words);
    case verb::set:
    case verb::add:
    case verb::replace:
    case verb::append:
    case verb::prepend:
    case verb::cas:
      return parse_storage(r, words);
    case verb::remove:
      return parse_delete(r, words);
    case verb::incr:
    case verb::decr:
    case verb::touch:
      return parse_key_and_number(r, words);
    case verb::flush_all:
      return parse_flush_all(r, words);
    case verb::verbosity:
      return parse_number(r, words, reply::bad_format);
    case verb::cache_memlimit:
      return parse_number(r, words, reply::unknown_command);
    case verb::watch:
    case verb::lru_crawler:
    case verb::slabs:
    case verb::stats:
      r.rest = words.rest();
      return;
    case verb::lru:
      r.noreply = asks_for_silence(words.rest());
      r.rest = words.rest();
      return;
    case verb::shutdown:
      return parse_shutdown(r, words);
    case verb::refresh_certs:
    case verb::version:
    case verb::quit:
      return;
    case verb::meta_get:
    case verb::meta_set:
    case verb::meta_delete:
    case verb::meta_arithmetic:
    case verb::meta_noop:
    case verb::meta_debug:
      return parse_meta(r, words);
    case verb::unknown:
      return parse_unknown(r, words.rest());
  }
}

}  // namespace

request parse_line(std::string_view line) noexcept {
  request r;
  if (line.size() < line_size_min && line != shortest_noop) {
    refuse(r, reply::bad_format);
    return r;
  }
  line.remove_suffix(line[line.size() - 2] == '\r' ? 2 : 1);
  token_cursor words(line);
  const auto word = words.next();
  if (word.empty()) {
    refuse(r, reply::bad_format);
    return r;
  }
  r.what = find_verb(word);
  parse_arguments(r, words);
  return r;
}

}  // namespace tandem::protocol
