#include "common/protocol/meta_parser.h"

#include "common/protocol/base64.h"
#include "common/protocol/numbers.h"
#include "common/protocol/reply.h"

namespace tandem::protocol {
namespace {

bool is_known_mode(verb what, char mode) noexcept {
  constexpr std::string_view of_set("EAPRS\0", 6), of_arithmetic("I+D-\0", 5);
  if (what == verb::meta_set) return of_set.find(mode) != std::string_view::npos;
  return what != verb::meta_arithmetic || of_arithmetic.find(mode) != std::string_view::npos;
}

bool has_long_opaque(const request& r) noexcept {
  if (!r.meta.has('O')) return false;
  token_cursor words(r.rest);
  for (auto word = words.next(); !word.empty(); word = words.next())
    if (word.front() == 'O') return word.size() > opaque_size_max;
  return false;
}

// Of a command with `words_before` words before the flags, which are in r.rest.
void parse_flags(request& r, unsigned words_before) noexcept {
  const auto error = parse_meta_flags(r.meta, r.rest, words_before, r.key);
  if (!error.empty()) {
    // memcached does not tell the errors of ma apart.
    const bool is_told = r.what != verb::meta_arithmetic;
    return refuse(r, is_told ? error : reply::invalid_or_duplicate_flag);
  }
  if (!is_known_mode(r.what, r.meta.mode))
    return refuse(r, r.what == verb::meta_set ? reply::bad_set_mode : reply::bad_arithmetic_mode);
  if (has_long_opaque(r)) return refuse(r, reply::opaque_too_long);
  r.flags = r.meta.client_flags;
  r.exptime = r.meta.ttl;
}

void parse_set(request& r, token_cursor words) noexcept {
  const auto bytes = parse_strict<std::int32_t>(words.next());
  r.rest = words.rest();
  // Without a length nobody knows where the next command starts: nothing is swallowed.
  if (!bytes || *bytes < 0 || *bytes > value_bytes_max || !look_like_flags(r.rest, 3))
    return refuse(r, reply::bad_format);
  r.has_block = true;
  r.value_bytes = static_cast<std::uint32_t>(*bytes);
  parse_flags(r, 3);
}

// The only flag it takes is b, in the first place.
void parse_debug(request& r, token_cursor words) noexcept {
  r.rest = words.rest();
  if (!look_like_flags(r.rest, 2) || r.key.size() > key_size_max)
    return refuse(r, reply::bad_format);
  if (words.next() != "b") return;
  char room[base64_decoded_max(key_size_max)];
  if (decode_base64(room, r.key) == 0) return refuse(r, reply::bad_format);
  r.meta.seen = meta_flags::bit('b');
}

}  // namespace

void parse_meta(request& r, token_cursor words) noexcept {
  if (r.what == verb::meta_noop) return;
  r.key = words.next();
  if (r.key.empty()) return refuse(r, reply::bad_format);
  if (r.what == verb::meta_set) return parse_set(r, words);
  if (r.what == verb::meta_debug) return parse_debug(r, words);
  r.rest = words.rest();
  if (!look_like_flags(r.rest, 2)) return refuse(r, reply::bad_format);
  parse_flags(r, 2);
}

}  // namespace tandem::protocol
