#include "common/replication/merge.h"

#include <algorithm>
#include <compare>
#include <tuple>
#include <utility>

namespace tandem::replication {

namespace {

// Orders two values by their bytes; either may lie in extents.
std::strong_ordering compare_values(const engine::item_view& a, const record& b) {
  const std::size_t b_size = b.value_size();
  if (a.value_size() != b_size) return a.value_size() <=> b_size;
  for (std::size_t at = 0; at < b_size;) {
    const std::string_view pa = a.piece_at(at), pb = b.piece_at(at);
    const std::size_t n = std::min(pa.size(), pb.size());
    if (const int order = pa.substr(0, n).compare(pb.substr(0, n)); order != 0) return order <=> 0;
    at += n;
  }
  return std::strong_ordering::equal;
}

std::pair<bool, std::uint64_t> own_cas(const engine::item_meta& m) {
  return {m.has_own_cas(), m.cas};
}

// Orders what one stored version stands for on two nodes. It is the same everywhere, unless a clock
// was set back over a restart; which one wins then does not matter, only that it is the same one.
std::strong_ordering compare_contents(const engine::item_view& a, const record& b) {
  const bool buried = a.meta.kind == engine::item_kind::tombstone;
  const bool buries = b.kind == record_kind::tombstone;
  if (buried != buries) return buried <=> buries;
  if (a.meta.flags != b.meta.flags) return a.meta.flags <=> b.meta.flags;
  if (const auto order = own_cas(a.meta) <=> own_cas(b.meta); order != 0) return order;
  return compare_values(a, b);
}

}  // namespace

merge_verdict merge(const std::optional<engine::item_view>& local, version floor,
                    const record& incoming) {
  const engine::item_meta& in = incoming.meta;
  if (incoming.kind == record_kind::gone) {
    if (!local) return merge_verdict::keep;
    const auto age = [](const engine::item_meta& m) { return std::tuple(m.stored, m.touched); };
    return age(local->meta) < age(in) ? merge_verdict::drop : merge_verdict::keep;
  }
  if (!local) return in.stored <= floor ? merge_verdict::refuse : merge_verdict::take;
  if (in.stored != local->meta.stored)
    return in.stored > local->meta.stored ? merge_verdict::take : merge_verdict::keep;
  if (const auto order = compare_contents(*local, incoming); order != 0)
    return order < 0 ? merge_verdict::take : merge_verdict::keep;
  const auto expiry = [](const engine::item_meta& m) {
    return std::tuple(m.touched, m.exptime, m.marks);
  };
  return expiry(in) > expiry(local->meta) ? merge_verdict::take_touch : merge_verdict::keep;
}

}  // namespace tandem::replication
