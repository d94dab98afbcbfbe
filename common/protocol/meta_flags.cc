#include "common/protocol/meta_flags.h"

#include <array>
#include <optional>

#include "common/protocol/base64.h"
#include "common/protocol/numbers.h"
#include "common/protocol/reply.h"
#include "common/protocol/request.h"
#include "common/protocol/tokens.h"

namespace tandem::protocol {
namespace {

// memcached looks at so many words of a line.
constexpr unsigned words_looked_at = 23;

// What a letter's argument is, where it is kept and what is wrong with a bad one.
struct rule {
  enum class argument : std::uint8_t { unknown, ignored, base64, seconds, flags, number, mode };
  argument takes = argument::unknown;
  std::int32_t meta_flags::*seconds = nullptr;
  std::uint64_t meta_flags::*number = nullptr;
  std::string_view error = {};
};

constexpr std::array<rule, 'z' - 'A' + 1> make_rules() {
  using enum rule::argument;
  std::array<rule, 'z' - 'A' + 1> rules{};
  const auto at = [&](char letter) -> rule& { return rules[static_cast<unsigned>(letter - 'A')]; };
  for (const char letter : std::string_view("OPLkstcfvhluqxI")) at(letter).takes = ignored;
  at('b') = {.takes = base64, .error = reply::bad_base64_key};
  at('N') = {.takes = seconds, .seconds = &meta_flags::vivify, .error = reply::bad_token};
  at('T') = {.takes = seconds, .seconds = &meta_flags::ttl, .error = reply::bad_token};
  at('R') = {.takes = seconds, .seconds = &meta_flags::recache, .error = reply::bad_token};
  at('C') = {.takes = number, .number = &meta_flags::compare, .error = reply::bad_token};
  at('E') = {.takes = number, .number = &meta_flags::unique, .error = reply::bad_token};
  at('J') = {.takes = number, .number = &meta_flags::initial, .error = reply::bad_initial_value};
  at('D') = {.takes = number, .number = &meta_flags::delta, .error = reply::bad_delta_value};
  at('F') = {.takes = flags};
  at('M') = {.takes = mode};
  return rules;
}
constexpr auto rules = make_rules();

template <class Number>
bool take(Number& to, std::string_view argument) noexcept {
  const auto number = parse_strict<Number>(argument);
  if (number) to = *number;
  return number.has_value();
}

bool is_base64(std::string_view key) noexcept {
  char room[base64_decoded_max(key_size_max)];
  return decode_base64(room, key) != 0;
}

bool take_argument(meta_flags& flags, const rule& r, std::string_view argument,
                   std::string_view key) noexcept {
  switch (r.takes) {
    case rule::argument::base64:
      return is_base64(key);
    case rule::argument::seconds:
      return take(flags.*r.seconds, argument);
    case rule::argument::number:
      return take(flags.*r.number, argument);
    case rule::argument::flags:
      return take(flags.client_flags, argument);
    case rule::argument::mode:
      // Only the first letter counts; a mode that is not there is none that is known.
      flags.mode = argument.empty() ? ' ' : argument.front();
      return true;
    case rule::argument::ignored:
    case rule::argument::unknown:
      break;
  }
  return true;
}

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

}  // namespace

bool look_like_flags(std::string_view text, unsigned words_before) noexcept {
  token_cursor words(text);
  for (unsigned n = words_before; n < words_looked_at; ++n) {
    const auto word = words.next();
    if (word.empty()) return true;
    if (!meta_flags::is_letter(word.front()) && !is_digit(word.front())) return false;
  }
  return true;
}

std::string_view parse_meta_flags(meta_flags& flags, std::string_view text, unsigned words_before,
                                  std::string_view key) noexcept {
  if (key.size() > key_size_max) return reply::bad_format;
  unsigned count = words_before;
  token_cursor all(text);
  while (!all.next().empty())
    if (++count > meta_words_max) return reply::too_many_flags;

  // A bad argument is no reason to stop: the last error is the one to tell of, unless a letter is
  // wrong.
  std::string_view error = reply::bad_format;
  bool failed = false;
  token_cursor words(text);
  for (auto word = words.next(); !word.empty(); word = words.next()) {
    const char letter = word.front();
    if (!meta_flags::is_letter(letter)) return reply::invalid_flag;
    if (flags.has(letter)) return reply::duplicate_flag;
    flags.seen |= meta_flags::bit(letter);
    const rule& r = rules[static_cast<unsigned>(letter - 'A')];
    if (r.takes == rule::argument::unknown) return reply::invalid_flag;
    if (take_argument(flags, r, word.substr(1), key)) continue;
    failed = true;
    if (!r.error.empty()) error = r.error;
  }
  return failed ? error : std::string_view();
}

}  // namespace tandem::protocol
