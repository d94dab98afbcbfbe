#include "common/engine/hash_index.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <new>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "common/base/check.h"
#include "common/base/hash.h"

namespace tandem::engine {

namespace {

constexpr unsigned directory_bits_max = 24;
// The directory takes at most this share of the shard: keys chosen to collide could make it grow
// without end.
constexpr std::size_t directory_share = 64;
constexpr std::size_t index_bytes_min = std::size_t{256} << 20;
constexpr std::size_t index_bytes_max = std::size_t{16} << 30;
// A pair of pages is merged when both together fill a page to this: well under what makes it split.
constexpr unsigned merged_records_max = 400;
// Fewer records than this to a page on average: worth merging.
constexpr unsigned sparse_records = 190;

// The stretch from hashes to positions: 16 equal pieces of the positions' space, each for a
// stretch of hashes that is 2^(1/16) wider than the one before, in steps of 1/256 of all.
constexpr unsigned pieces = 16;
struct stretch {
  std::array<std::uint8_t, 256> piece_of{};   // by the first 8 bits of the hash
  std::array<std::uint64_t, pieces> first{};  // the lowest hash of a piece
  std::array<std::uint64_t, pieces> slope{};  // positions to the hash, times 2^59
  stretch() noexcept {
    const auto bound = [](unsigned piece) {
      return static_cast<unsigned>(std::lround(256 * (std::exp2(piece / double{pieces}) - 1)));
    };
    for (unsigned piece = 0; piece < pieces; ++piece) {
      const unsigned low = bound(piece), high = bound(piece + 1);
      for (unsigned n = low; n < high; ++n) piece_of[n] = static_cast<std::uint8_t>(piece);
      first[piece] = std::uint64_t{low} << 56;
      slope[piece] = (std::uint64_t{1} << 63) / (high - low);
    }
  }
};
const stretch stretched;

__extension__ using wide = unsigned __int128;

std::uint32_t ghost_of(std::uint64_t position) noexcept {
  return std::max(static_cast<std::uint32_t>(position >> 32), 1U);
}

template <class Line>
void prefetch(const Line* line) noexcept {
  __builtin_prefetch(line);
}

}  // namespace

hash_index::hash_index(std::size_t memory_bytes, const segment_log& records)
    : records_(records),
      pages_(std::clamp(limit_growth_max * memory_bytes, index_bytes_min, index_bytes_max),
             memory_bytes >= huge_pages_from),
      directory_region_(sizeof(std::uint32_t) << directory_bits_max, false),
      directory_(reinterpret_cast<std::atomic<std::uint32_t>*>(directory_region_.base())),
      bits_(1) {
  static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));
  std::uint32_t number = 0;
  if (!directory_region_.commit(page_bytes) || !new_page(number)) throw std::bad_alloc();
  point(0, 0, number);
}

std::uint64_t hash_index::position_of(std::uint64_t hash) const noexcept {
  const unsigned piece = stretched.piece_of[hash >> 56];
  const auto along = static_cast<std::uint64_t>(
      static_cast<wide>(hash - stretched.first[piece]) * stretched.slope[piece] >> 59);
  return std::uint64_t{piece} << 60 | along;
}

// --- looking up ----------------------------------------------------------------------------------

// A bit for each slot with a record of that tag.
unsigned hash_index::matches(const bucket& b, std::uint8_t tag) noexcept {
#if defined(__SSE2__)
  const __m128i tags = _mm_load_si128(reinterpret_cast<const __m128i*>(&b));
  const __m128i equal = _mm_cmpeq_epi8(tags, _mm_set1_epi8(static_cast<char>(tag)));
  return static_cast<unsigned>(_mm_movemask_epi8(equal)) & b.live;
#else
  unsigned found = 0;
  for (unsigned slot = 0; slot < slots; ++slot)
    found |= static_cast<unsigned>(b.tags[slot] == tag) << slot;
  return found & b.live;
#endif
}

record* hash_index::match(const bucket& b, std::uint8_t tag, std::string_view key) const noexcept {
  for (unsigned found = matches(b, tag); found != 0; found &= found - 1) {
    record* const r = records_.at(b.addresses[static_cast<unsigned>(std::countr_zero(found))]);
    // Most are the record sought: its lines come together rather than one after the other.
    prefetch(reinterpret_cast<const char*>(r) + 64);
    prefetch(reinterpret_cast<const char*>(r) + 128);
    if (r->key() == key) return r;
  }
  return nullptr;
}

record* hash_index::find(std::uint64_t hash, std::string_view key) const noexcept {
  const page& p = page_at(page_number(position_of(hash)));
  const unsigned home = home_of(hash);
  const bucket& b = p.buckets[home];
  const std::uint8_t tag = tag_of(hash);
  if (record* r = match(b, tag, key)) return r;
  if (b.next_door != 0)
    if (record* r = match(p.buckets[(home + 1) % home_buckets], tag, key)) return r;
  if (b.overflowed != 0) {
    for (unsigned i = home_buckets; i < p.buckets.size(); ++i)
      if (record* r = match(p.buckets[i], tag, key)) return r;
  }
  return nullptr;
}

void hash_index::prefetch_bucket(std::uint64_t hash) const noexcept {
  const std::uint64_t position = position_of(hash);
  // A page number that is just going out of date costs a prefetch in vain.
  const unsigned bits = bits_.load(std::memory_order_acquire);
  const std::uint32_t number = directory_[position >> (64 - bits)].load(std::memory_order_relaxed);
  prefetch(&page_at(number).buckets[home_of(hash)]);
}

void hash_index::prefetch_record(std::uint64_t hash) const noexcept {
  const bucket& b = page_at(page_number(position_of(hash))).buckets[home_of(hash)];
  for (unsigned found = matches(b, tag_of(hash)); found != 0; found &= found - 1) {
    const char* const r = reinterpret_cast<const char*>(
        records_.at(b.addresses[static_cast<unsigned>(std::countr_zero(found))]));
    prefetch(r);
    prefetch(r + 64);
    prefetch(r + 128);
  }
}

void hash_index::prefetch_keys(const bucket& b) const noexcept {
  for (unsigned left = b.live; left != 0; left &= left - 1)
    prefetch(records_.at(b.addresses[static_cast<unsigned>(std::countr_zero(left))]));
}

void hash_index::prefetch_keys(const page& p) const noexcept {
  for (const bucket& b : p.buckets) prefetch_keys(b);
}

std::uint64_t hash_index::page_end(std::uint64_t position) const noexcept {
  const unsigned depth = facts_[page_number(position)].depth;
  return depth == 0 ? 0 : ((position >> (64 - depth)) + 1) << (64 - depth);
}

std::uint64_t hash_index::hash_of(std::uint32_t address) const noexcept {
  return hash_key(records_.at(address)->key());
}

// --- changing ------------------------------------------------------------------------------------

// A slot without a record, best one without a ghost. in null: the bucket is full.
hash_index::slot_ref hash_index::free_slot(bucket& b) noexcept {
  constexpr unsigned all = (1U << slots) - 1;
  if (b.live == all) return {};
  for (unsigned slot = 0; slot < slots; ++slot)
    if ((b.live >> slot & 1U) == 0 && b.addresses[slot] == 0) return {&b, slot};
  for (unsigned n = 0; n < slots; ++n) {
    const unsigned slot = (b.hand + n) % slots;
    if ((b.live >> slot & 1U) == 0) {
      b.hand = (slot + 1) % slots & 0xfU;
      return {&b, slot};
    }
  }
  return {};
}

bool hash_index::page_has_room(const page& p, unsigned home) const noexcept {
  constexpr unsigned all = (1U << slots) - 1;
  if (p.buckets[home].live != all || p.buckets[(home + 1) % home_buckets].live != all) return true;
  for (unsigned i = home_buckets; i < p.buckets.size(); ++i)
    if (p.buckets[i].live != all) return true;
  return false;
}

bool hash_index::has_room(std::uint64_t hash) const noexcept {
  return page_has_room(page_at(page_number(position_of(hash))), home_of(hash));
}

// page_has_room().
void hash_index::put(page& p, std::uint64_t hash, std::uint32_t address) noexcept {
  const unsigned home = home_of(hash);
  bucket& b = p.buckets[home];
  slot_ref to = free_slot(b);
  if (to.in == nullptr) {
    to = free_slot(p.buckets[(home + 1) % home_buckets]);
    if (to.in != nullptr) ++b.next_door;
  }
  for (unsigned i = home_buckets; to.in == nullptr && i < p.buckets.size(); ++i) {
    to = free_slot(p.buckets[i]);
    if (to.in != nullptr) ++b.overflowed;
  }
  CHECK(to.in != nullptr);
  to.in->tags[to.slot] = tag_of(hash);
  to.in->addresses[to.slot] = address;
  to.in->live |= 1U << to.slot & 0xfffU;
}

void hash_index::insert(std::uint64_t hash, const record* r) noexcept {
  const std::uint32_t number = page_number(position_of(hash));
  put(page_at(number), hash, records_.address_of(r));
  ++facts_[number].records;
  ++size_;
}

hash_index::slot_ref hash_index::locate(std::uint64_t hash, std::uint32_t address) const noexcept {
  page& p = page_at(page_number(position_of(hash)));
  const unsigned home = home_of(hash);
  const auto look = [&](bucket& b) -> slot_ref {
    for (unsigned found = matches(b, tag_of(hash)); found != 0; found &= found - 1) {
      const auto slot = static_cast<unsigned>(std::countr_zero(found));
      if (b.addresses[slot] == address) return {&b, slot};
    }
    return {};
  };
  slot_ref found = look(p.buckets[home]);
  if (found.in == nullptr) found = look(p.buckets[(home + 1) % home_buckets]);
  for (unsigned i = home_buckets; found.in == nullptr && i < p.buckets.size(); ++i)
    found = look(p.buckets[i]);
  CHECK(found.in != nullptr);
  return found;
}

void hash_index::replace(std::uint64_t hash, const record* r, const record* with) noexcept {
  const slot_ref at = locate(hash, records_.address_of(r));
  at.in->addresses[at.slot] = records_.address_of(with);
}

void hash_index::erase(std::uint64_t hash, const record* r, bool remember) noexcept {
  const std::uint64_t position = position_of(hash);
  const std::uint32_t number = page_number(position);
  const slot_ref at = locate(hash, records_.address_of(r));
  at.in->live &= ~(1U << at.slot) & 0xfffU;
  at.in->addresses[at.slot] = 0;
  page& p = page_at(number);
  const unsigned home = home_of(hash);
  bucket& b = p.buckets[home];
  if (at.in != &b) --(at.in == &p.buckets[(home + 1) % home_buckets] ? b.next_door : b.overflowed);
  if (remember) haunt(b, tag_of(hash), ghost_of(position));
  --facts_[number].records;
  --size_;
}

void hash_index::haunt(bucket& b, std::uint8_t tag, std::uint32_t ghost) noexcept {
  const slot_ref at = free_slot(b);
  if (at.in == nullptr) return;
  b.tags[at.slot] = tag;
  b.addresses[at.slot] = ghost;
}

bool hash_index::take_ghost(std::uint64_t hash) noexcept {
  const std::uint64_t position = position_of(hash);
  bucket& b = page_at(page_number(position)).buckets[home_of(hash)];
  for (unsigned slot = 0; slot < slots; ++slot) {
    if ((b.live >> slot & 1U) != 0 || b.addresses[slot] != ghost_of(position) ||
        b.tags[slot] != tag_of(hash))
      continue;
    b.addresses[slot] = 0;
    return true;
  }
  return false;
}

// --- pages ---------------------------------------------------------------------------------------

bool hash_index::new_page(std::uint32_t& number) noexcept {
  if (!free_.empty()) {
    number = free_.back();
    free_.pop_back();
    return true;
  }
  if (!pages_.commit((facts_.size() + 1) * page_bytes)) return false;
  try {
    facts_.emplace_back();
    free_.reserve(facts_.capacity());
  } catch (const std::bad_alloc&) {
    if (free_.capacity() < facts_.size()) facts_.pop_back();
    return false;
  }
  number = static_cast<std::uint32_t>(facts_.size() - 1);
  return true;
}

// The directory leads to page `number` from all positions that share the first `depth` bits.
void hash_index::point(std::uint64_t position, unsigned depth, std::uint32_t number) noexcept {
  const std::uint64_t entries = std::uint64_t{1} << (bits_ - depth);
  const std::uint64_t first = (position >> (64 - bits_)) & ~(entries - 1);
  for (std::uint64_t i = 0; i < entries; ++i)
    directory_[first + i].store(number, std::memory_order_relaxed);
  facts_[number].depth = static_cast<std::uint8_t>(depth);
}

bool hash_index::double_directory() noexcept {
  const std::size_t entries = std::size_t{1} << bits_;
  if (bits_ == directory_bits_max) return false;
  if (!directory_region_.commit(2 * entries * sizeof(std::uint32_t))) return false;
  for (std::size_t i = entries; i-- > 0;) {
    const std::uint32_t number = directory_[i].load(std::memory_order_relaxed);
    directory_[2 * i].store(number, std::memory_order_relaxed);
    directory_[2 * i + 1].store(number, std::memory_order_relaxed);
  }
  bits_.store(bits_ + 1, std::memory_order_release);
  return true;
}

std::size_t hash_index::split_bytes() const noexcept {
  const std::size_t pages = facts_.size();
  return pages_.backing((pages + 1) * page_bytes) - pages_.backing(pages * page_bytes) + page_bytes;
}

bool hash_index::split(std::uint64_t hash) noexcept {
  const std::uint64_t position = position_of(hash);
  const std::uint32_t old_number = page_number(position);
  const unsigned depth = facts_[old_number].depth;
  if (depth == bits_) {
    // Pages fill the directory at least to an eighth unless keys were chosen to collide.
    const std::size_t in_use = facts_.size() - free_.size();
    if ((std::size_t{1} << bits_) > directory_share * in_use) return false;
    if (!double_directory()) return false;
  }
  std::uint32_t number = 0;
  if (!new_page(number)) return false;
  page& low = page_at(old_number);
  page& high = page_at(number);
  prefetch_keys(low);
  std::memcpy(static_cast<void*>(&high), &low, sizeof low);
  unsigned moved = 0;
  for (unsigned i = 0; i < low.buckets.size(); ++i) {
    for (unsigned slot = 0; slot < slots; ++slot) {
      const std::uint32_t address = low.buckets[i].addresses[slot];
      if ((low.buckets[i].live >> slot & 1U) == 0) {  // a ghost, or nothing
        bucket& other = (address >> (31 - depth) & 1U) != 0 ? low.buckets[i] : high.buckets[i];
        other.addresses[slot] = 0;
        continue;
      }
      const std::uint64_t its_hash = hash_of(address);
      const bool goes_high = (position_of(its_hash) >> (63 - depth) & 1U) != 0;
      moved += goes_high;
      page& other = goes_high ? low : high;
      other.buckets[i].live &= ~(1U << slot) & 0xfffU;
      other.buckets[i].addresses[slot] = 0;
      const unsigned home = home_of(its_hash);
      if (i == home) continue;
      bucket& b = other.buckets[home];
      --(i == (home + 1) % home_buckets ? b.next_door : b.overflowed);
    }
  }
  facts_[number].records = static_cast<std::uint16_t>(moved);
  facts_[old_number].records = static_cast<std::uint16_t>(facts_[old_number].records - moved);
  point(position & ~(std::uint64_t{1} << (63 - depth)), depth + 1, old_number);
  point(position | std::uint64_t{1} << (63 - depth), depth + 1, number);
  bring_home(low);
  bring_home(high);
  return true;
}

// Records that lie elsewhere for want of room move to their home bucket if it has some now.
void hash_index::bring_home(page& p) noexcept {
  for (unsigned i = 0; i < p.buckets.size(); ++i) {
    bucket& from = p.buckets[i];
    // Only what a bucket before it, or any for the overflow, has counted as lying elsewhere.
    const unsigned before = (i + home_buckets - 1) % home_buckets;
    if (from.live == 0 || (i < home_buckets && p.buckets[before].next_door == 0)) continue;
    for (unsigned slot = 0; slot < slots; ++slot) {
      if ((from.live >> slot & 1U) == 0) continue;
      const std::uint32_t address = from.addresses[slot];
      const std::uint64_t hash = hash_of(address);
      const unsigned home = home_of(hash);
      bucket& b = p.buckets[home];
      if (i == home) continue;
      const slot_ref to = free_slot(b);
      if (to.in == nullptr) continue;
      b.tags[to.slot] = from.tags[slot];
      b.addresses[to.slot] = address;
      b.live |= 1U << to.slot & 0xfffU;
      from.live &= ~(1U << slot) & 0xfffU;
      from.addresses[slot] = 0;
      --(i < home_buckets ? b.next_door : b.overflowed);
    }
  }
}

bool hash_index::sparse() const noexcept {
  const std::size_t in_use = facts_.size() - free_.size();
  return in_use > 1 && size_ < in_use * sparse_records;
}

bool hash_index::merge_next() noexcept {
  const std::uint64_t position = merge_at_;
  const unsigned depth = depth_at(position);
  if (depth == 0) return false;
  const std::uint64_t half = std::uint64_t{1} << (64 - depth);
  const std::uint64_t low_position = position & ~(half - 1) & ~half;
  const std::uint32_t low = page_number(low_position), high = page_number(low_position | half);
  if (facts_[low].depth != depth || facts_[high].depth != depth) {
    merge_at_ = page_end(position);
    return false;
  }
  merge_at_ = page_end(low_position | half);
  if (facts_[low].records + facts_[high].records > merged_records_max) return false;
  prefetch_keys(page_at(high));
  page merged = page_at(low);
  for (const bucket& b : page_at(high).buckets) {
    for (unsigned slot = 0; slot < slots; ++slot) {
      if ((b.live >> slot & 1U) == 0) continue;
      const std::uint64_t hash = hash_of(b.addresses[slot]);
      if (!page_has_room(merged, home_of(hash))) return false;
      put(merged, hash, b.addresses[slot]);
    }
  }
  page_at(low) = merged;
  facts_[low].records = static_cast<std::uint16_t>(facts_[low].records + facts_[high].records);
  facts_[high] = {};
  point(low_position, depth - 1, low);
  pages_.release(std::size_t{high} * page_bytes, page_bytes);
  free_.push_back(high);
  return true;
}

void hash_index::merge_all() noexcept {
  for (bool any = true; any;) {
    any = false;
    merge_at_ = 0;
    do any |= merge_next();
    while (merge_at_ != 0);
  }
}

// --- the books -----------------------------------------------------------------------------------

std::size_t hash_index::bytes() const noexcept {
  const std::size_t books =
      facts_.capacity() * sizeof(page_facts) + free_.capacity() * sizeof(std::uint32_t);
  return pages_.backing(facts_.size() * page_bytes) - free_.size() * page_bytes +
         directory_region_.backing(sizeof(std::uint32_t) << bits_) + books;
}

bool hash_index::consistent() const {
  std::size_t seen = 0;
  std::uint64_t position = 0;
  do {
    const std::uint32_t number = page_number(position);
    const unsigned depth = facts_[number].depth;
    const page& p = page_at(number);
    std::array<unsigned, home_buckets> next_door{}, overflowed{};
    unsigned records = 0;
    for (unsigned i = 0; i < p.buckets.size(); ++i) {
      for (unsigned slot = 0; slot < slots; ++slot) {
        if ((p.buckets[i].live >> slot & 1U) == 0) continue;
        const record* r = records_.at(p.buckets[i].addresses[slot]);
        const std::uint64_t hash = hash_key(r->key());
        if (depth != 0 && (position_of(hash) ^ position) >> (64 - depth) != 0) return false;
        if (r->dead || find(hash, r->key()) != r) return false;
        const unsigned home = home_of(hash);
        if (i != home) ++(i == (home + 1) % home_buckets ? next_door : overflowed)[home];
        ++records;
      }
    }
    for (unsigned i = 0; i < home_buckets; ++i)
      if (p.buckets[i].next_door != next_door[i] || p.buckets[i].overflowed != overflowed[i])
        return false;
    if (records != facts_[number].records) return false;
    seen += records;
    position = page_end(position);
  } while (position != 0);
  return seen == size_;
}

}  // namespace tandem::engine
