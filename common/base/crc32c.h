// CRC32C (Castagnoli), as iSCSI and ext4 use it: the checksum of every frame on the peer link.
#pragma once

#include <cstdint>
#include <string_view>

namespace tandem {

// The CRC of `bytes` appended to what `seed` already covers (0: nothing). Uses the processor's
// instruction where there is one, Boost.CRC elsewhere; both give the same value. Any thread.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0) noexcept;

namespace detail {
std::uint32_t crc32c_portable(std::string_view bytes, std::uint32_t seed) noexcept;
}

}  // namespace tandem
