#include "common/replication/bucket_walk.h"

#include <utility>

#include "common/base/crc32c.h"
#include "common/base/endian.h"
#include "common/base/hash.h"

namespace tandem::replication {

namespace {
constexpr unsigned items_per_look = 32;   // under a shard's lock
constexpr unsigned looks_per_slice = 32;  // some thousand items, well under a millisecond
constexpr std::size_t large_bytes_per_slice = std::size_t{4} << 20;

std::uint64_t bucket_of(std::uint64_t hash, unsigned bits) {
  return bits == 0 ? 0 : hash >> (64 - bits);
}
}  // namespace

std::uint64_t audit_digest_of(const record& r) {
  std::uint32_t value = 0;
  const std::size_t size = r.value_size();
  for (std::size_t at = 0; at < size; at += r.piece_at(at).size())
    value = crc32c(r.piece_at(at), value);
  const engine::item_meta& m = r.meta;
  constexpr std::size_t meta_bytes = 48;
  char bytes[meta_bytes + engine::key_size_max];
  store_le(bytes, m.stored.word());
  store_le(bytes + 8, m.touched.word());
  store_le(bytes + 16, m.cas_unique());
  store_le(bytes + 24, std::uint64_t{m.flags} << 32 | m.exptime);
  store_le(bytes + 32, static_cast<std::uint64_t>(size));
  store_le(bytes + 40, std::uint64_t{value} << 8 | m.marks);
  r.key.copy(bytes + meta_bytes, r.key.size());
  const std::uint64_t digest = hash_key({bytes, meta_bytes + r.key.size()});
  return digest == 0 ? 1 : digest;
}

void bucket_walk::begin(const audit_head& head, bool list) {
  head_ = head;
  list_ = list;
  running_ = true;
  cut_short_ = false;
  shard_ = 0;
  begun_ = false;
  larges_.clear();
  digests_.assign(head.count, {});
  items_.clear();
}

// The lowest hash of a bucket.
std::uint64_t bucket_walk::hash_at(std::uint64_t bucket) const {
  return head_.bits == 0 ? 0 : bucket << (64 - head_.bits);
}

bool bucket_walk::wanted(const record& r, std::uint64_t hash) const {
  if (r.kind != record_kind::value || r.meta.changed() > head_.cutoff) return false;
  if (r.meta.exptime != 0 && r.meta.exptime <= head_.expiry_after) return false;
  const std::uint64_t bucket = bucket_of(hash, head_.bits);
  return bucket >= head_.first && bucket - head_.first < head_.count;
}

void bucket_walk::add(const record& r) {
  const std::uint64_t digest = audit_digest_of(r);
  audit_digest& bucket = digests_[bucket_of(hash_key(r.key), head_.bits) - head_.first];
  bucket.sum += digest;
  ++bucket.items;
  if (!list_) return;
  if (items_.size() >= audit_body_max)
    cut_short_ = true;
  else
    append(items_, audit_item{digest, r.meta.changed(), r.key});
}

// Past the page that the last hash of the range falls to.
bool bucket_walk::at_end(const data_port& data) const {
  const std::uint64_t end = head_.first + head_.count;
  if (cursor_.done || end >> head_.bits != 0) return cursor_.done;
  return cursor_.position > data.scan_from(shard_, hash_at(end)).position;
}

void bucket_walk::step(data_port& data, instant now) {
  std::size_t large_bytes = 0;
  for (unsigned look = 0; look < looks_per_slice && large_bytes < large_bytes_per_slice; ++look) {
    if (begun_ && at_end(data)) {
      begun_ = false;
      if (++shard_ == data.shard_count()) {
        running_ = false;
        return;
      }
    }
    if (!std::exchange(begun_, true)) cursor_ = data.scan_from(shard_, hash_at(head_.first));
    data.scan(shard_, cursor_, items_per_look, {}, now, [&](const record& r) {
      if (!wanted(r, hash_key(r.key))) return true;
      if (!r.large) {
        add(r);
        return true;
      }
      larges_.push_back({std::string(r.key), std::string(r.value), r});
      return true;
    });
    for (large_item& each : larges_) {
      each.r.key = each.key;
      each.r.value = each.tail;
      add(each.r);
      large_bytes += each.r.value_size();
    }
    larges_.clear();
  }
}

}  // namespace tandem::replication
