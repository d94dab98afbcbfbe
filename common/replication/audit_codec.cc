#include "common/replication/audit_codec.h"

#include "common/base/endian.h"
#include "common/engine/item.h"

namespace tandem::replication {

namespace {
constexpr std::size_t head_bytes = 32;
constexpr std::size_t digest_bytes = 12;
constexpr std::size_t item_bytes = 17;
}  // namespace

std::string encode(const audit_head& head) {
  std::string out(head_bytes, '\0');
  out[0] = static_cast<char>(head.kind);
  out[1] = static_cast<char>(head.bits);
  out[2] = static_cast<char>(head.flags);
  store_le(out.data() + 4, head.count);
  store_le(out.data() + 8, head.first);
  store_le(out.data() + 16, head.cutoff.word());
  store_le(out.data() + 24, head.expiry_after);
  return out;
}

void append(std::string& out, const audit_digest& digest) {
  char bytes[digest_bytes];
  store_le(bytes, digest.sum);
  store_le(bytes + 8, digest.items);
  out.append(bytes, sizeof bytes);
}

void append(std::string& out, const audit_item& item) {
  char bytes[item_bytes];
  store_le(bytes, item.digest);
  store_le(bytes + 8, item.changed.word());
  bytes[16] = static_cast<char>(item.key.size());
  out.append(bytes, sizeof bytes).append(item.key);
}

std::optional<audit_head> take_audit_head(std::string_view& from) {
  if (from.size() < head_bytes) return std::nullopt;
  audit_head head;
  const auto kind = static_cast<std::uint8_t>(from[0]);
  head.bits = static_cast<std::uint8_t>(from[1]);
  head.flags = static_cast<std::uint8_t>(from[2]);
  head.count = load_le<std::uint32_t>(from.data() + 4);
  head.first = load_le<std::uint64_t>(from.data() + 8);
  head.cutoff = version(load_le<std::uint64_t>(from.data() + 16));
  head.expiry_after = load_le<std::uint32_t>(from.data() + 24);
  if (kind < static_cast<std::uint8_t>(audit_kind::begin) ||
      kind > static_cast<std::uint8_t>(audit_kind::check) || head.bits > audit_bits_max ||
      head.count > audit_buckets_max || head.first >> head.bits != 0 || !head.cutoff.plausible())
    return std::nullopt;
  head.kind = static_cast<audit_kind>(kind);
  from.remove_prefix(head_bytes);
  return head;
}

std::optional<audit_digest> take_audit_digest(std::string_view& from) {
  if (from.size() < digest_bytes) return std::nullopt;
  const audit_digest digest{load_le<std::uint64_t>(from.data()),
                            load_le<std::uint32_t>(from.data() + 8)};
  from.remove_prefix(digest_bytes);
  return digest;
}

std::optional<audit_item> take_audit_item(std::string_view& from) {
  if (from.size() < item_bytes) return std::nullopt;
  const std::size_t key_size = static_cast<unsigned char>(from[16]);
  if (key_size == 0 || key_size > engine::key_size_max || from.size() < item_bytes + key_size)
    return std::nullopt;
  audit_item item;
  item.digest = load_le<std::uint64_t>(from.data());
  item.changed = version(load_le<std::uint64_t>(from.data() + 8));
  item.key = from.substr(item_bytes, key_size);
  from.remove_prefix(item_bytes + key_size);
  return item;
}

}  // namespace tandem::replication
