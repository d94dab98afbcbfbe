#include "common/engine/large_value.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <new>
#include <utility>

#include "common/base/check.h"

namespace tandem::engine {

namespace {

// What malloc takes for the object itself.
constexpr std::size_t object_bytes = (sizeof(large_value) + 8 + 15) / 16 * 16;

constexpr std::size_t pages_for(std::size_t bytes) {
  return (bytes + page_bytes - 1) / page_bytes;
}

}  // namespace

large_value::large_value(std::size_t size, page_pool_ref pool)
    : size_(static_cast<std::uint32_t>(size)), pool_(std::move(pool)) {
  if (const std::size_t tail_bytes = size - body(); tail_bytes != 0) {
    tail_ = static_cast<char*>(std::malloc(tail_bytes));
    if (tail_ == nullptr) throw std::bad_alloc();
  }
  pool_->use(object_bytes);
}

large_value::~large_value() {
  std::free(tail_);
  std::uint32_t before = 0;
  for (const extent& e : extents()) {
    pool_->give({e.first, e.end - before});
    before = e.end;
  }
  if (more_ != nullptr) pool_->disuse(more_->capacity() * sizeof(extent));
  delete more_;
  pool_->disuse(object_bytes);
}

large_ref large_value::make(std::size_t size, page_pool_ref pool) {
  CHECK(pool);
  if (size > large_value_max) throw std::bad_alloc();
  return large_ref(new large_value(size, std::move(pool)));
}

std::size_t large_value::footprint(std::size_t size) noexcept {
  return object_bytes + size / page_bytes * page_bytes;
}

// --- extents -------------------------------------------------------------------------------------

std::span<const large_value::extent> large_value::extents() const noexcept {
  if (more_ != nullptr) return *more_;
  return {&only_, only_.end == 0 ? 0U : 1U};
}

bool large_value::add(page_pool::run r) noexcept {
  const std::uint32_t before = only_.end;
  const std::span<const extent> all = extents();
  const std::uint32_t last_begin = all.size() < 2 ? 0 : all[all.size() - 2].end;
  const bool adjoins = !all.empty() && all.back().first + (before - last_begin) == r.first;
  try {
    if (all.empty()) {
      only_.first = r.first;
    } else if (!adjoins) {
      if (more_ == nullptr) more_ = new std::vector<extent>{only_};
      const std::size_t capacity = more_->capacity();
      more_->push_back({r.first, 0});
      pool_->use((more_->capacity() - (more_->size() == 2 ? 0 : capacity)) * sizeof(extent));
    }
  } catch (const std::bad_alloc&) {
    pool_->give(r);
    return false;
  }
  only_.end = before + r.pages;
  if (more_ != nullptr) more_->back().end = only_.end;
  return true;
}

// The contiguous bytes from `offset` to the end of what is granted of its extent.
std::span<char> large_value::place_of(std::size_t offset) const noexcept {
  if (offset >= body()) return {tail_ + (offset - body()), size_ - offset};
  const std::span<const extent> all = extents();
  const auto page = static_cast<std::uint32_t>(offset / page_bytes);
  const auto at = std::upper_bound(all.begin(), all.end(), page,
                                   [](std::uint32_t p, const extent& e) { return p < e.end; });
  const std::uint32_t begin = at == all.begin() ? 0 : std::prev(at)->end;
  return {pool_->at(at->first + (page - begin)) + offset % page_bytes,
          std::size_t{at->end} * page_bytes - offset};
}

std::string_view large_value::extent_at(std::size_t offset) const noexcept {
  CHECK(offset < size_);
  const std::span<char> place = place_of(offset);
  return {place.data(), place.size()};
}

std::size_t large_value::granted() const noexcept {
  const std::size_t bytes = std::size_t{only_.end} * page_bytes;
  return bytes == body() ? size_ : bytes;
}

std::span<char> large_value::writable_at(std::size_t offset) noexcept {
  CHECK(offset < granted());
  return place_of(offset);
}

void large_value::write(std::size_t offset, std::string_view bytes) noexcept {
  CHECK(offset <= granted() && bytes.size() <= granted() - offset);
  while (!bytes.empty()) {
    const std::span<char> to = writable_at(offset);
    const std::size_t n = std::min(to.size(), bytes.size());
    std::memcpy(to.data(), bytes.data(), n);
    bytes.remove_prefix(n);
    offset += n;
  }
}

std::size_t large_value::growth(std::size_t upto) const noexcept {
  const std::size_t pages = std::min(pages_for(upto), body() / page_bytes);
  return pages > only_.end ? (pages - only_.end) * page_bytes : 0;
}

bool large_value::grant(std::size_t upto) noexcept {
  while (const std::size_t missing = growth(upto)) {
    const page_pool::run r = pool_->take(missing / page_bytes);
    if (r.pages == 0 || !add(r)) return false;
  }
  return true;
}

std::string_view large_value::tail() const noexcept {
  if (tail_ == nullptr) return {};
  return {tail_, size_ - body()};
}

void large_value::trim() noexcept {
  std::free(tail_);
  tail_ = nullptr;
  size_ = static_cast<std::uint32_t>(body());
}

void intrusive_ptr_add_ref(const large_value* value) noexcept {
  value->references_.fetch_add(1, std::memory_order_relaxed);
}

void intrusive_ptr_release(const large_value* value) noexcept {
  if (value->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete value;
}

}  // namespace tandem::engine
