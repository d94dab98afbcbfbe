#include "common/engine/region.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace tandem::engine {

namespace {

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

region::region(std::size_t bytes, bool huge_pages)
    : size_(round_up(bytes, huge_page_bytes)), huge_pages_(huge_pages) {
  // Inaccessible at first: such a mapping counts against no limit on memory, whatever the kernel's
  // overcommit policy. It is aligned for huge pages by cutting off what is too much.
  const std::size_t wanted = size_ + huge_page_bytes;
  void* mapped =
      ::mmap(nullptr, wanted, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  char* const begin = static_cast<char*>(mapped);
  const std::size_t front =
      (huge_page_bytes - reinterpret_cast<std::size_t>(begin) % huge_page_bytes) % huge_page_bytes;
  base_ = begin + front;
  if (front != 0) ::munmap(begin, front);
  if (front != huge_page_bytes) ::munmap(base_ + size_, huge_page_bytes - front);
  // Without the second, a kernel that is set to "always" backs a few bytes with 2 MiB. A kernel
  // without huge pages refuses both, which is as good.
  (void)::madvise(base_, size_, huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

region::~region() {
  if (base_ != nullptr) ::munmap(base_, size_);
}

bool region::commit(std::size_t bytes) noexcept {
  if (bytes <= committed_) return true;
  if (bytes > size_) return false;
  const std::size_t upto = std::min(round_up(bytes, huge_page_bytes), size_);
  if (::mprotect(base_ + committed_, upto - committed_, PROT_READ | PROT_WRITE) != 0) return false;
  committed_ = upto;
  return true;
}

void region::release(std::size_t offset, std::size_t bytes) noexcept {
  (void)::madvise(base_ + offset, bytes, MADV_DONTNEED);
}

std::size_t region::backing(std::size_t bytes) const noexcept {
  return round_up(bytes, step_bytes());
}

}  // namespace tandem::engine
