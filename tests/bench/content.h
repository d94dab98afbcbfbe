// The keys and values of the measuring tools: what is stored tells by itself whose it is, so that a
// foreign, stale or torn value is noticed when it is read.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/prng.h"

namespace tandem::bench {

constexpr std::size_t key_size = 20;  // of every key, as in the targets of the engine

// "key:" and 16 hexadecimal digits.
class key_name {
 public:
  explicit key_name(std::uint64_t id) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::memcpy(bytes_.data(), "key:", 4);
    for (std::size_t at = key_size; at-- > 4; id >>= 4) bytes_[at] = digits[id & 15];
  }
  std::string_view view() const { return {bytes_.data(), bytes_.size()}; }

 private:
  std::array<char, key_size> bytes_{};
};

// A value begins with a stamp that id and size determine, as far as there is room for it, and its
// last byte is the stamp's first. The rest is filler.
class value_maker {
 public:
  explicit value_maker(std::size_t size_max) : bytes_(std::max<std::size_t>(size_max, 1)) {
    for (std::size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = static_cast<char>('a' + i % 23);
  }

  // At least 1 and at most size_max bytes; valid until the next call.
  std::string_view make(std::uint64_t id, std::size_t size) {
    const std::array<char, stamp_size> stamp = stamp_of(id, size);
    std::memcpy(bytes_.data(), stamp.data(), std::min(size, stamp_size));
    bytes_[size - 1] = stamp[0];
    return {bytes_.data(), size};
  }

  // Whether a value of `size` bytes with these first bytes (all of them, or at least 8) and this
  // last byte is the one that make() made.
  static bool ours(std::uint64_t id, std::size_t size, std::string_view first, char last) {
    const std::array<char, stamp_size> stamp = stamp_of(id, size);
    const std::size_t stamped = std::min(size - 1, stamp_size);
    return first.size() >= stamped && std::memcmp(first.data(), stamp.data(), stamped) == 0 &&
           last == stamp[0];
  }

 private:
  static constexpr std::size_t stamp_size = 8;

  static std::array<char, stamp_size> stamp_of(std::uint64_t id, std::size_t size) {
    const std::uint64_t word = prng(id ^ (std::uint64_t{size} << 40)).next();
    std::array<char, stamp_size> stamp;
    std::memcpy(stamp.data(), &word, stamp.size());
    return stamp;
  }

  std::vector<char> bytes_;
};

// `set KEY 0 EXPTIME SIZE[ noreply]`, the value and its end.
inline void append_set(std::string& out, std::uint64_t id, std::string_view value,
                       std::uint32_t exptime, bool noreply) {
  std::array<char, 48> numbers;
  char* at = numbers.data();
  char* const end = at + numbers.size();
  at = std::to_chars(at, end, exptime).ptr;
  *at++ = ' ';
  at = std::to_chars(at, end, value.size()).ptr;
  out += "set ";
  out += key_name(id).view();
  out += " 0 ";
  out.append(numbers.data(), at);
  out += noreply ? " noreply\r\n" : "\r\n";
  out += value;
  out += "\r\n";
}

}  // namespace tandem::bench
