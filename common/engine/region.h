// A stretch of address space that becomes memory page by page when it is written: what the engine
// puts its records and its index in, so that nothing ever moves when it grows and an idle cache
// takes next to no memory. The only place in common/ that asks the kernel for anything; it is
// deterministic, so it does not harm the purity of what uses it. One thread at a time.
#pragma once

#include <cstddef>

namespace tandem::engine {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;
// From this size of a shard on 2 MiB more or less do not matter, and fewer TLB misses do.
constexpr std::size_t huge_pages_from = std::size_t{256} << 20;

// The limit of a shard can be raised to so many times the first one: its address space is reserved
// for that.
constexpr std::size_t limit_growth_max = 8;

class region {
 public:
  // Reserves `bytes` of address space. With `huge_pages` the kernel may back 2 MiB at a time: then
  // memory is taken in such steps. Throws std::bad_alloc.
  region(std::size_t bytes, bool huge_pages);
  ~region();
  region(const region&) = delete;
  region& operator=(const region&) = delete;

  char* base() const noexcept { return base_; }
  std::size_t size() const noexcept { return size_; }
  // Makes the first `bytes` bytes usable; they read as zero until written. False: the kernel
  // refuses, or it is more than was reserved.
  [[nodiscard]] bool commit(std::size_t bytes) noexcept;
  // Gives whole pages back to the kernel; they stay usable and read as zero.
  void release(std::size_t offset, std::size_t bytes) noexcept;
  // Bytes of memory that a frontier at `bytes` may have taken.
  std::size_t backing(std::size_t bytes) const noexcept;
  // The kernel may take so many bytes of memory at a time.
  std::size_t step_bytes() const noexcept { return huge_pages_ ? huge_page_bytes : page_bytes; }

 private:
  char* base_ = nullptr;
  std::size_t size_ = 0;
  std::size_t committed_ = 0;
  bool huge_pages_ = false;
};

}  // namespace tandem::engine
