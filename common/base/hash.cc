#include "common/base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tandem {

std::uint64_t hash_key(std::string_view key) noexcept {
  return XXH3_64bits(key.data(), key.size());
}

}  // namespace tandem
