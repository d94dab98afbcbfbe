// mprotect() and madvise() of this program, the engine's calls among them, in the place of libc's.
#include "tests/bench/paging.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/bench/hold_times.h"

namespace tandem::bench {

namespace {

bool counting = false;
std::uint64_t counted_ns = 0;

int advise(void* at, std::size_t bytes, int advice) {
  return static_cast<int>(::syscall(SYS_madvise, at, bytes, advice));
}

// Gives memory to all of it.
void populate(void* at, std::size_t bytes) {
  constexpr int populate_write = 23;  // MADV_POPULATE_WRITE, Linux 5.14
  if (advise(at, bytes, populate_write) == 0) return;
  for (std::size_t i = 0; i < bytes; i += 4096) {
    auto* const byte = static_cast<volatile char*>(at) + i;
    *byte = *byte;
  }
}

}  // namespace

void count_paging() {
  counting = true;
}
std::uint64_t paging_ns() {
  return counted_ns;
}

}  // namespace tandem::bench

using namespace tandem::bench;  // NOLINT(google-build-using-namespace)

extern "C" int mprotect(void* at, std::size_t bytes, int protection) noexcept {
  const std::uint64_t begin = cpu_ns();
  const auto result = static_cast<int>(::syscall(SYS_mprotect, at, bytes, protection));
  if (!counting || result != 0 || (protection & PROT_WRITE) == 0) return result;
  populate(at, bytes);
  counted_ns += cpu_ns() - begin;
  return result;
}

extern "C" int madvise(void* at, std::size_t bytes, int advice) noexcept {
  const std::uint64_t begin = cpu_ns();
  const int result = advise(at, bytes, advice);
  if (!counting || advice != MADV_DONTNEED) return result;
  populate(at, bytes);
  counted_ns += cpu_ns() - begin;
  return result;
}
