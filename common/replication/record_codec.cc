#include "common/replication/record_codec.h"

#include "common/base/endian.h"

namespace tandem::replication {

namespace {
constexpr std::size_t own_cas_bytes = sizeof(std::uint64_t);
}  // namespace

void append_record(std::string& out, const record& r) {
  char header[record_header_bytes] = {};
  const std::size_t value_size = r.value_size();
  header[0] = static_cast<char>(r.kind);
  header[1] = static_cast<char>(r.meta.marks);
  header[2] = static_cast<char>(r.key.size());
  header[3] = static_cast<char>(r.exptime_part);
  store_le(header + 4, static_cast<std::uint32_t>(value_size));
  store_le(header + 8, r.meta.stored.word());
  store_le(header + 16, r.meta.touched.word());
  store_le(header + 24, r.meta.flags);
  store_le(header + 28, r.meta.exptime);
  out.append(header, sizeof header);
  if (r.meta.has_own_cas()) {
    char cas[own_cas_bytes];
    store_le(cas, r.meta.cas);
    out.append(cas, sizeof cas);
  }
  out.append(r.key);
  if (value_size >= streamed_value_min) return;
  for (std::size_t at = 0; at < value_size; at += r.piece_at(at).size()) out.append(r.piece_at(at));
}

std::optional<record> take_record(std::string_view& payload, bool value_follows,
                                  std::size_t& value_size) {
  if (payload.size() < record_header_bytes) return std::nullopt;
  const char* at = payload.data();
  const auto kind = static_cast<std::uint8_t>(at[0]);
  const auto key_size = static_cast<unsigned char>(at[2]);
  value_size = load_le<std::uint32_t>(at + 4);
  if (kind > static_cast<std::uint8_t>(record_kind::held) || key_size == 0 ||
      key_size > engine::key_size_max || value_size > value_size_limit)
    return std::nullopt;
  record r;
  r.kind = static_cast<record_kind>(kind);
  r.meta.kind =
      r.kind == record_kind::value ? engine::item_kind::value : engine::item_kind::tombstone;
  r.meta.marks = static_cast<std::uint8_t>(at[1]) & engine::mark::all;
  r.exptime_part = static_cast<std::int8_t>(at[3]);
  r.meta.stored = version(load_le<std::uint64_t>(at + 8));
  r.meta.touched = version(load_le<std::uint64_t>(at + 16));
  r.meta.flags = load_le<std::uint32_t>(at + 24);
  r.meta.exptime = load_le<std::uint32_t>(at + 28);
  if (!r.meta.stored.plausible() || !r.meta.touched.plausible() || !r.meta.stored)
    return std::nullopt;
  const std::size_t inline_size = value_follows ? 0 : value_size;
  if (r.kind != record_kind::value && value_size != 0) return std::nullopt;
  const std::size_t key_at = record_header_bytes + (r.meta.has_own_cas() ? own_cas_bytes : 0);
  if (payload.size() < key_at + key_size + inline_size) return std::nullopt;
  if (r.meta.has_own_cas()) r.meta.cas = load_le<std::uint64_t>(at + record_header_bytes);
  payload.remove_prefix(key_at);
  r.key = payload.substr(0, key_size);
  r.value = payload.substr(key_size, inline_size);
  payload.remove_prefix(key_size + inline_size);
  return r;
}

std::string encode(const flush_state& f) {
  std::string out(20, '\0');
  store_le(out.data(), f.watermark.word());
  store_le(out.data() + 8, f.pending_issued.word());
  store_le(out.data() + 16, f.pending_at);
  return out;
}

std::optional<flush_state> decode_flush(std::string_view payload) {
  if (payload.size() != 20) return std::nullopt;
  const flush_state f{version(load_le<std::uint64_t>(payload.data())),
                      version(load_le<std::uint64_t>(payload.data() + 8)),
                      load_le<std::uint32_t>(payload.data() + 16)};
  if (!f.watermark.plausible() || !f.pending_issued.plausible()) return std::nullopt;
  return f;
}

}  // namespace tandem::replication
