// The answer of a meta command: "<status> [<bytes>] <flag>*\r\n", its flags in the order they were
// asked for.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "common/protocol/base64.h"
#include "common/protocol/meta_flags.h"
#include "common/protocol/numbers.h"
#include "common/protocol/request.h"

namespace tandem::protocol {

// Room for a status, the key in base64, an opaque, eight numbers, what tells of stale items and the
// line's end.
constexpr std::size_t meta_line_max = 2 + (2 + base64_size(key_size_max) + 2) +
                                      (1 + opaque_size_max) + 8 * (2 + digits_max) + 3 * 2 + 2;

// Writes one to where there is room for meta_line_max; no flag may be written twice.
class meta_line {
 public:
  meta_line(char* to, std::string_view status) noexcept : at_(to) { put(status); }

  // "VA <bytes>"
  static meta_line value(char* to, std::size_t bytes) noexcept {
    meta_line line(to, "VA ");
    line.at_ = write_number(line.at_, bytes);
    return line;
  }
  void flag(char letter) noexcept {
    *at_++ = ' ';
    *at_++ = letter;
  }
  void flag(char letter, std::uint64_t number) noexcept {
    flag(letter);
    at_ = write_number(at_, number);
  }
  // t: what is left until `exptime`, -1 where that is never.
  void ttl(std::uint32_t exptime, std::uint32_t now) noexcept {
    flag('t');
    if (exptime == 0)
      put("-1");
    else
      at_ = write_number(at_, static_cast<std::uint32_t>(exptime - now));
  }
  // O, as it was sent.
  void opaque(std::string_view word) noexcept {
    *at_++ = ' ';
    put(word);
  }
  // k; a binary one in base64, and told to be.
  void key(std::string_view key, bool binary) noexcept {
    flag('k');
    if (!binary) return put(key);
    at_ = write_base64(at_, key);
    flag('b');
  }
  // Returns where the line ends.
  char* end() noexcept {
    put("\r\n");
    return at_;
  }

 private:
  void put(std::string_view text) noexcept {
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }

  char* at_;
};

}  // namespace tandem::protocol
