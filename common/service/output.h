// The replies a connection has not sent yet, in order: short bytes are copied in, large values are
// held by reference and sent from where they lie. The owner keeps it bounded by looking at size()
// before it adds another reply. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/byte_buffer.h"
#include "common/engine/large_value.h"

namespace tandem::service {

class output_queue {
 public:
  void append(std::string_view bytes) {
    const std::span<char> to = reserve(bytes.size());
    if (!bytes.empty()) std::memcpy(to.data(), bytes.data(), bytes.size());
    commit(bytes.size());
  }
  // Room for `n` bytes, to be written in place; commit() says how many were.
  std::span<char> reserve(std::size_t n) {
    return text_.reserve(text_.capacity() == 0 ? std::max(n, first_capacity_) : n);
  }
  void commit(std::size_t n) noexcept {
    text_.commit(n);
    appended_ += n;
    size_ += n;
  }
  // The value's bytes come next; they are not copied.
  void pin(const engine::large_value& value);

  // Unsent bytes, those of pinned values included.
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  // Where the unsent bytes begin and end, in bytes ever queued; rewrite() moves the end.
  std::uint64_t begin() const noexcept { return gone_; }
  std::uint64_t end() const noexcept { return gone_ + size_; }

  // The unsent bytes in order: fills at most pieces.size() of them, returns how many. Valid until
  // the next call that changes the output.
  std::size_t pieces(std::span<std::string_view> pieces) const;
  // The first `n` <= size() bytes are gone out.
  void sent(std::size_t n);

  // Puts `text` in the place of the unsent bytes from `begin` to `end` (there may be none). A
  // pinned value is replaced whole or not at all. Takes memory and time as for a copy of the
  // output.
  struct change {
    std::uint64_t begin, end;
    std::string_view text;
  };
  // In their order, not overlapping.
  void rewrite(std::span<const change> changes);

  // Memory of its own: copied bytes and bookkeeping, not the pinned values.
  std::size_t buffered_bytes() const noexcept {
    return text_.capacity() + pins_.capacity() * sizeof(pinned);
  }

 private:
  struct pinned {
    std::uint64_t text_before;  // copied bytes, ever, that go out before the value
    boost::intrusive_ptr<const engine::large_value> value;
  };

  void drop_first_pin();
  void release_memory();

  byte_buffer text_;
  std::uint64_t appended_ = 0;  // copied bytes, ever
  std::uint64_t sent_ = 0;      // of those, sent
  std::vector<pinned> pins_;    // from first_pin_ on
  std::size_t first_pin_ = 0;
  std::size_t first_pin_sent_ = 0;  // bytes of it that are gone out
  std::uint64_t gone_ = 0;          // bytes ever sent
  std::size_t size_ = 0;
  std::size_t first_capacity_ = 0;  // what the last run of replies needed
};

}  // namespace tandem::service
