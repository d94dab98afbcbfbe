// Up to `Max` values in the order they were added, in place: no memory is taken, and none is
// touched before a value is added, so that an empty batch costs nothing whatever its size. One
// thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>

namespace tandem::service {

template <class T, std::size_t Max>
class batch {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  batch() noexcept {}
  batch(const batch&) = delete;
  batch& operator=(const batch&) = delete;

  bool empty() const noexcept { return begin_ == end_; }
  std::size_t size() const noexcept { return end_ - begin_; }
  // Of those added; clear() makes room for Max again, take() for none.
  bool full() const noexcept { return end_ == Max; }
  std::span<const T> view() const noexcept { return {&values_[begin_], size()}; }

  void clear() noexcept { begin_ = end_ = 0; }
  // Not full.
  const T& add(const T& value) noexcept { return *std::construct_at(&values_[end_++], value); }
  // Not empty; the reference is good until clear().
  const T& take() noexcept { return values_[begin_++]; }

 private:
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  union {
    T values_[Max];  // alive: those before end_
  };
};

}  // namespace tandem::service
