// Where the next command line ends in what has been received, and when to stop waiting for its end.
#pragma once

#include <cstddef>
#include <string_view>

namespace tandem::protocol {

// A line has its LF among this many bytes and one more, or the connection is closed...
constexpr std::size_t line_size_max = 2048;
// ...unless it asks for many keys.
constexpr std::size_t keys_line_size_max = std::size_t{1} << 20;

enum class line_status {
  complete,    // size() bytes, LF included
  incomplete,  // more bytes are needed
  too_long,    // the client does not speak this protocol
};

// Finds the end of one line however it arrives in pieces, looking at every byte once. The verdict
// depends on the bytes alone, not on how they were cut.
class line_finder {
 public:
  // `buffered` starts where the line starts and grows from call to call.
  line_status find(std::string_view buffered) noexcept;
  // Of the complete line.
  std::size_t size() const noexcept { return size_; }
  // Forgets the line found: the next call looks at another.
  void restart() noexcept { searched_ = size_ = 0; }

 private:
  std::size_t searched_ = 0;  // bytes known to hold no LF
  std::size_t size_ = 0;
};

// The binary protocol's first byte. Its clients wait for an answer of their own kind, so they are
// best hung up on at once.
constexpr char binary_magic = '\x80';

}  // namespace tandem::protocol
