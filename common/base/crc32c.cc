#include "common/base/crc32c.h"

#include <boost/crc.hpp>

#include "common/base/endian.h"

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace tandem {

namespace detail {
std::uint32_t crc32c_portable(std::string_view bytes, std::uint32_t seed) noexcept {
  // Boost reflects its interim remainder: the seed (a finished CRC) is un-xored and bit-reversed
  // back into one.
  std::uint32_t remainder = 0;
  for (unsigned bit = 0; bit < 32; ++bit)
    if ((~seed >> bit) & 1U) remainder |= 0x80000000U >> bit;
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc(remainder);
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}
}  // namespace detail

#if defined(__x86_64__)
namespace {
__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::string_view bytes,
                                                             std::uint32_t seed) noexcept {
  std::uint64_t crc = ~seed;
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) crc = _mm_crc32_u64(crc, load_le<std::uint64_t>(at));
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; left > 0; ++at, --left) narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*at));
  return ~narrow;
}
}  // namespace

std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed) noexcept {
  static const bool have_sse42 = __builtin_cpu_supports("sse4.2");
  return have_sse42 ? crc32c_sse42(bytes, seed) : detail::crc32c_portable(bytes, seed);
}
#else
std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed) noexcept {
  return detail::crc32c_portable(bytes, seed);
}
#endif

}  // namespace tandem
