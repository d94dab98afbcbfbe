// Writes items to a server as fast as one connection goes: pipelined noreply sets, with a wait for
// the server after every few megabytes, and reads them back in large gets.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/prng.h"
#include "tests/bench/client.h"
#include "tests/bench/content.h"

namespace tandem::bench {

// Value sizes from `min` to `max`, spread evenly over the logarithm: as many of 10 to 100 bytes as
// of 1000 to 10,000.
struct size_range {
  std::uint64_t min = 100;
  std::uint64_t max = 100;

  std::uint64_t draw(prng& random) const {
    if (min == max) return min;
    const double share = static_cast<double>(random.next() >> 11) / 9007199254740992.0;
    const double size = static_cast<double>(min) *
                        std::pow(static_cast<double>(max) / static_cast<double>(min), share);
    return std::clamp(static_cast<std::uint64_t>(size), min, max);
  }
};

class set_writer {
 public:
  set_writer(client& to, std::size_t value_size_max) : to_(to), values_(value_size_max) {}

  // `exptime` as in the protocol. Stored, refused or evicted: nobody tells.
  void set(std::uint64_t id, std::size_t size, std::uint32_t exptime) {
    append_set(to_.out(), id, values_.make(id, size), exptime, true);
    bytes_ += key_size + size;
    if (to_.out().size() < out_bytes) return;
    unsynced_ += to_.out().size();
    to_.flush();
    if (unsynced_ >= unsynced_max) sync();
  }

  // Waits until the server has carried out all of it.
  void sync() {
    to_.sync();
    unsynced_ = 0;
  }

  // Keys and values written so far.
  std::uint64_t bytes() const { return bytes_; }

 private:
  static constexpr std::size_t out_bytes = std::size_t{64} << 10;
  static constexpr std::size_t unsynced_max = std::size_t{4} << 20;

  client& to_;
  value_maker values_;
  std::uint64_t bytes_ = 0;
  std::size_t unsynced_ = 0;
};

struct read_result {
  std::uint64_t held = 0;
  std::uint64_t wrong = 0;  // with a value that set_writer did not write for that id
};

// How many of the items first..first + count - 1 the server holds.
inline read_result read_back(client& from, std::uint64_t first, std::uint64_t count) {
  constexpr std::uint64_t at_once = 64;
  read_result result;
  for (std::uint64_t id = first; id < first + count; id += at_once) {
    const std::uint64_t end = std::min(id + at_once, first + count);
    from.out() += "get";
    for (std::uint64_t each = id; each < end; ++each)
      from.out().append(" ").append(key_name(each).view());
    from.out() += "\r\n";
    from.flush();
    for (std::string_view line = from.line(); line != "END"; line = from.line()) {
      if (!line.starts_with("VALUE ")) give_up("get answered: " + std::string(line));
      std::uint64_t read = 0;
      std::size_t size = 0;
      const char* const end_of_key = line.data() + 6 + key_size;
      std::from_chars(line.data() + 6 + 4, end_of_key, read, 16);
      std::from_chars(line.data() + line.rfind(' ') + 1, line.data() + line.size(), size);
      const std::string_view value = from.exactly(size + 2);
      ++result.held;
      if (size == 0 || !value_maker::ours(read, size, value.substr(0, size), value[size - 1]))
        ++result.wrong;
    }
  }
  return result;
}

}  // namespace tandem::bench
