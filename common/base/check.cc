#include "common/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace tandem {

void check_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "memtandem: %s:%d: CHECK(%s) failed\n", file, line, condition);
  std::abort();
}

}  // namespace tandem
