#include "common/engine/large_value.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "common/base/check.h"

namespace tandem::engine {

namespace {

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

// From here on glibc may map whole pages for one allocation (M_MMAP_THRESHOLD's initial value).
constexpr std::size_t mapped_min = std::size_t{128} * 1024;
constexpr std::size_t page_bytes = 4096;
constexpr std::size_t malloc_header = 16;  // of a mapped chunk; a heap chunk's is 8
constexpr std::size_t malloc_unit = 16;

}  // namespace

large_value::large_value(std::size_t size, large_charge_ref charge) noexcept
    : size_(size), charge_(std::move(charge)) {
  charge_->bytes_.fetch_add(footprint(size), std::memory_order_relaxed);
}

large_value::~large_value() {
  charge_->bytes_.fetch_sub(footprint(size_), std::memory_order_relaxed);
}

large_ref large_value::make(std::size_t size, large_charge_ref charge) {
  CHECK(charge);
  if (size > PTRDIFF_MAX - sizeof(large_value)) throw std::bad_alloc();
  void* memory = std::malloc(sizeof(large_value) + size);
  if (memory == nullptr) throw std::bad_alloc();
  return large_ref(new (memory) large_value(size, std::move(charge)));
}

std::size_t large_value::footprint(std::size_t size) noexcept {
  const std::size_t bytes = sizeof(large_value) + size + malloc_header;
  return round_up(bytes, bytes < mapped_min ? malloc_unit : page_bytes);
}

std::string_view large_value::extent_at(std::size_t offset) const noexcept {
  CHECK(offset < size_);
  return {bytes() + offset, size_ - offset};
}

std::span<char> large_value::writable_at(std::size_t offset) noexcept {
  CHECK(offset < size_);
  return {bytes() + offset, size_ - offset};
}

void large_value::write(std::size_t offset, std::string_view from) noexcept {
  CHECK(offset <= size_ && from.size() <= size_ - offset);
  if (!from.empty()) std::memcpy(bytes() + offset, from.data(), from.size());
}

void intrusive_ptr_add_ref(const large_value* value) noexcept {
  value->references_.fetch_add(1, std::memory_order_relaxed);
}

void intrusive_ptr_release(const large_value* value) noexcept {
  if (value->references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  value->~large_value();
  std::free(const_cast<large_value*>(value));
}

}  // namespace tandem::engine
