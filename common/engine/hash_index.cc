#include "common/engine/hash_index.h"

#include <new>
#include <utility>

#include "common/base/check.h"
#include "common/base/hash.h"

namespace tandem::engine {

namespace {

constexpr std::size_t malloc_overhead = 16;  // of an allocation: header and rounding
constexpr std::size_t directory_entry = sizeof(void*);

}  // namespace

hash_index::hash_index() {
  lower_.push_back(std::make_unique<segment>());
  segments_ = 1;
}

record* hash_index::find(std::uint64_t hash, std::string_view key) const noexcept {
  record* r = head(hash);
  while (r != nullptr && r->key() != key) r = r->chain;
  return r;
}

void hash_index::insert(std::uint64_t hash, record* r) noexcept {
  record*& first = head(hash);
  r->chain = first;
  first = r;
  ++size_;
}

record** hash_index::link_to(std::uint64_t hash, const record* r) const noexcept {
  record** link = &head(hash);
  while (*link != r) {
    CHECK(*link != nullptr);
    link = &(*link)->chain;
  }
  return link;
}

hash_index::bucket hash_index::bucket_at(std::uint64_t position) const noexcept {
  const unsigned bits = (position >> (64 - bits_)) < split_ ? bits_ + 1 : bits_;
  return {head(position), position | (~std::uint64_t{0} >> bits)};
}

std::size_t hash_index::bytes() const noexcept {
  return segments_ * (sizeof(segment) + malloc_overhead) +
         (lower_.capacity() + upper_.capacity()) * directory_entry + 2 * malloc_overhead;
}

std::size_t hash_index::growth_bytes() const noexcept {
  std::size_t bytes = 0;
  if (upper_.empty()) bytes += 2 * lower_.size() * directory_entry;
  if (((2 * split_) & segment_mask) == 0) bytes += sizeof(segment) + malloc_overhead;
  return bytes;
}

bool hash_index::have_segment(directory& d, std::size_t i) noexcept {
  auto& place = d[i >> segment_bits];
  if (place) return true;
  place.reset(new (std::nothrow) segment());
  if (!place) return false;
  ++segments_;
  return true;
}

bool hash_index::grow() noexcept {
  if (upper_.empty()) {
    try {
      upper_.resize(2 * lower_.size());
    } catch (const std::bad_alloc&) {
      return false;
    }
  }
  const std::size_t low = 2 * split_;
  if (!have_segment(upper_, low)) return false;
  record* left = std::exchange(at(lower_, split_), nullptr);
  while (left != nullptr) {
    record* r = std::exchange(left, left->chain);
    record*& first = at(upper_, hash_key(r->key()) >> (63 - bits_));
    r->chain = std::exchange(first, r);
  }
  if ((++split_ & segment_mask) == 0) {
    lower_[(split_ - 1) >> segment_bits].reset();
    --segments_;
  }
  if (split_ == std::size_t{1} << bits_) {
    lower_ = std::exchange(upper_, directory());
    ++bits_;
    split_ = 0;
  }
  return true;
}

bool hash_index::shrink() noexcept {
  if (split_ == 0) {
    if (bits_ == segment_bits) return false;
    directory half;
    try {
      half.resize(lower_.size() / 2);
    } catch (const std::bad_alloc&) {
      return false;
    }
    if (!have_segment(half, lower_.size() * bits_min_buckets / 2 - 1)) return false;
    upper_ = std::exchange(lower_, std::move(half));
    --bits_;
    split_ = std::size_t{1} << bits_;
  }
  const std::size_t merged = split_ - 1;
  if (!have_segment(lower_, merged)) return false;
  record** link = &at(lower_, merged);
  *link = std::exchange(at(upper_, 2 * merged), nullptr);
  while (*link != nullptr) link = &(*link)->chain;
  *link = std::exchange(at(upper_, 2 * merged + 1), nullptr);
  --split_;
  if (((2 * merged) & segment_mask) == 0) {
    upper_[(2 * merged) >> segment_bits].reset();
    --segments_;
  }
  if (split_ == 0) upper_ = directory();
  return true;
}

}  // namespace tandem::engine
