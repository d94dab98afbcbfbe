// A growable run of bytes, appended at the back and consumed from the front: what a connection has
// received and not yet parsed, and what it has to say and not yet sent. Empty, it can hold no
// memory at all. One thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>

namespace tandem {

class byte_buffer {
 public:
  std::string_view view() const noexcept { return {data_.get() + head_, tail_ - head_}; }
  std::size_t size() const noexcept { return tail_ - head_; }
  bool empty() const noexcept { return head_ == tail_; }
  std::size_t capacity() const noexcept { return capacity_; }

  // At least `n` writable bytes behind the last one; commit() says how many were written. May move
  // the bytes held. Throws std::bad_alloc.
  std::span<char> reserve(std::size_t n) {
    if (capacity_ - tail_ < n) make_room(n);
    return {data_.get() + tail_, capacity_ - tail_};
  }
  void commit(std::size_t n) noexcept { tail_ += n; }
  void append(std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(reserve(bytes.size()).data(), bytes.data(), bytes.size());
    tail_ += bytes.size();
  }
  // Drops `n` <= size() bytes from the front.
  void consume(std::size_t n) noexcept {
    head_ += n;
    if (head_ == tail_) head_ = tail_ = 0;
  }
  // Drops `n` <= size() bytes from the back.
  void retract(std::size_t n) noexcept { tail_ -= n; }
  // Gives the memory back if it is more than `keep` and nothing is held.
  void shrink(std::size_t keep) noexcept {
    if (!empty() || capacity_ <= keep) return;
    data_.reset();
    capacity_ = 0;
  }

 private:
  void make_room(std::size_t n) {
    const std::size_t held = size();
    // Moving down is cheap only when it frees at least as much as it moves.
    if (held + n <= capacity_ && head_ >= held) {
      std::memmove(data_.get(), data_.get() + head_, held);
    } else {
      const std::size_t capacity = std::max(held + n, held == 0 ? 0 : 2 * capacity_);
      auto larger = std::make_unique_for_overwrite<char[]>(capacity);
      if (held != 0) std::memcpy(larger.get(), data_.get() + head_, held);
      data_ = std::move(larger);
      capacity_ = capacity;
    }
    head_ = 0;
    tail_ = held;
  }

  std::unique_ptr<char[]> data_;
  std::size_t capacity_ = 0;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace tandem
