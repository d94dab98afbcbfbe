// The lines a watcher has not taken yet: a ring of fixed size, whole lines in, bytes out. One
// thread at a time.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

namespace tandem::service {

class watch_ring {
 public:
  // Throws std::bad_alloc.
  explicit watch_ring(std::size_t capacity)
      : capacity_(capacity), bytes_(std::make_unique_for_overwrite<char[]>(capacity)) {}

  std::size_t size() const noexcept { return size_; }
  std::size_t free() const noexcept { return capacity_ - size_; }

  // `bytes` fits into free().
  void push(std::string_view bytes) noexcept {
    const std::size_t end = (begin_ + size_) % capacity_;
    const std::size_t first = std::min(bytes.size(), capacity_ - end);
    std::memcpy(bytes_.get() + end, bytes.data(), first);
    std::memcpy(bytes_.get(), bytes.data() + first, bytes.size() - first);
    size_ += bytes.size();
  }
  // The oldest bytes that lie together; empty when there are none.
  std::string_view front() const noexcept {
    return {bytes_.get() + begin_, std::min(size_, capacity_ - begin_)};
  }
  // Drops `n` <= size() of the oldest.
  void pop(std::size_t n) noexcept {
    begin_ = (begin_ + n) % capacity_;
    size_ -= n;
  }

 private:
  const std::size_t capacity_;
  const std::unique_ptr<char[]> bytes_;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
};

}  // namespace tandem::service
