// The hash of a key, the same on every node of every build: shard, index position and floor slot
// are cut from it.
#pragma once

#include <cstdint>
#include <string_view>

namespace tandem {

// XXH3, 64 bits (github.com/Cyan4973/xxHash). Any thread.
std::uint64_t hash_key(std::string_view key) noexcept;

}  // namespace tandem
