#include "common/engine/page_pool.h"

#include <algorithm>
#include <new>

namespace tandem::engine {

namespace {

constexpr std::size_t pool_bytes_min = std::size_t{256} << 20;
constexpr std::size_t pool_bytes_max = std::size_t{1} << 40;

}  // namespace

// Without huge pages: memory is counted, and given back, by the page.
page_pool::page_pool(std::size_t memory_bytes)
    : region_(std::clamp(limit_growth_max * memory_bytes, pool_bytes_min, pool_bytes_max), false) {}

page_pool::run page_pool::take(std::size_t pages_max) noexcept {
  const auto most = static_cast<std::uint32_t>(std::min<std::size_t>(pages_max, UINT32_MAX));
  const std::lock_guard guard(mutex_);
  run taken = warm_pages_.take(most);
  if (taken.pages != 0) {
    warm_.fetch_sub(taken.pages * page_bytes, std::memory_order_relaxed);
  } else if (taken = cold_pages_.take(most); taken.pages == 0) {
    const std::size_t upto = std::min(fresh_ + most, region_.size() / page_bytes);
    try {
      warm_pages_.grow(upto);
      cold_pages_.grow(upto);
    } catch (const std::bad_alloc&) {
      return {};
    }
    if (upto == fresh_ || !region_.commit(upto * page_bytes)) return {};
    taken = {static_cast<std::uint32_t>(fresh_), static_cast<std::uint32_t>(upto - fresh_)};
    fresh_ = upto;
  }
  use(taken.pages * page_bytes);
  return taken;
}

void page_pool::give(run r) noexcept {
  const std::lock_guard guard(mutex_);
  warm_pages_.insert(r);
  disuse(r.pages * page_bytes);
  warm_.fetch_add(r.pages * page_bytes, std::memory_order_relaxed);
}

std::size_t page_pool::trim(std::size_t bytes) noexcept {
  if (warm_bytes() == 0) return 0;
  const std::lock_guard guard(mutex_);
  std::size_t given = 0;
  while (given < bytes) {
    const std::size_t pages = (bytes - given - 1) / page_bytes + 1;
    const run r =
        warm_pages_.take(static_cast<std::uint32_t>(std::min<std::size_t>(pages, UINT32_MAX)));
    if (r.pages == 0) break;
    region_.release(std::size_t{r.first} * page_bytes, r.pages * page_bytes);
    cold_pages_.insert(r);
    given += r.pages * page_bytes;
  }
  warm_.fetch_sub(given, std::memory_order_relaxed);
  return given;
}

}  // namespace tandem::engine
