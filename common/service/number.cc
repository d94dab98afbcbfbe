#include "common/service/number.h"

#include <cstring>

#include "common/base/check.h"
#include "common/protocol/reply.h"

namespace tandem::service {

std::optional<changed_number> change_number(const engine::item_view& item, bool up,
                                            std::uint64_t delta) {
  if (item.large) return std::nullopt;
  const auto old = protocol::parse_lenient_unsigned(item.value);
  if (!old) return std::nullopt;
  if (up) return changed_number(*old + delta);
  return changed_number(delta > *old ? 0 : *old - delta);
}

store::locked::put_result put_number(store::locked& shard, const hashed_key& key,
                                     const engine::item_view& item, const changed_number& changed,
                                     const number_meta& meta) {
  const std::string_view digits = changed.digits();
  const std::uint32_t flags = item.meta.flags;
  const std::uint8_t marks = item.meta.marks;
  const std::size_t size = item.value.size();
  if (size <= digits.size()) return shard.put(key, flags, meta.exptime, digits, marks, meta.cas);
  char padded[engine::large_value_min];
  CHECK(size <= sizeof padded);
  char* const end = protocol::detail::copy(padded, digits);
  std::memset(end, ' ', size - digits.size());
  return shard.put(key, flags, meta.exptime, std::string_view(padded, size), marks, meta.cas);
}

}  // namespace tandem::service
