// The flags of a meta command: single letters, some with an argument behind them.
//
// Every command takes every flag; what it has no use for it ignores. A letter may come once.
#pragma once

#include <cstdint>
#include <string_view>

namespace tandem::protocol {

struct meta_flags {
  std::uint64_t seen = 0;          // a bit for each letter
  std::uint64_t compare = 0;       // C: go on only if this is the item's CAS unique
  std::uint64_t unique = 0;        // E: the CAS unique to store
  std::uint64_t delta = 1;         // D
  std::uint64_t initial = 0;       // J: what a number that is created starts with
  std::uint32_t client_flags = 0;  // F
  std::int32_t ttl = 0;            // T; exptimes as sent (exptime.h)
  std::int32_t vivify = 0;         // N: the ttl of an item that is created by a miss
  std::int32_t recache = 0;        // R: one client is to refresh it when less is left
  char mode = 0;                   // M; 0: none

  static constexpr bool is_letter(char c) noexcept { return c >= 'A' && c <= 'z'; }
  static constexpr std::uint64_t bit(char letter) noexcept {
    return std::uint64_t{1} << (letter - 'A');
  }
  bool has(char letter) const noexcept { return (seen & bit(letter)) != 0; }
};

// A command and its arguments are at most this many words.
constexpr unsigned meta_words_max = 20;
// Of the flag O, its letter included.
constexpr std::size_t opaque_size_max = 32;

// Whether `text`, all flags of a line, looks like flags: every word among the first (`words_before`
// are the command's own) begins with a letter or a digit. Where it does not, memcached does not
// look at the line any further, not even for a data block.
bool look_like_flags(std::string_view text, unsigned words_before) noexcept;

// Takes the flags apart; returns the error to answer with, empty: they are good. `key` is the
// command's, for its length and for what b makes of it.
std::string_view parse_meta_flags(meta_flags& flags, std::string_view text, unsigned words_before,
                                  std::string_view key) noexcept;

}  // namespace tandem::protocol
