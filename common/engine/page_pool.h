// The memory of the large values of one shard, in pages of one region. A page that was let go keeps
// its memory ("warm") for the next value, of whatever size: values are made of runs of pages, not
// of one stretch. trim() gives warm pages back to the kernel when something else needs the memory.
//
// Threads: any. It outlives its shard while a value in it is held.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include "common/engine/page_set.h"
#include "common/engine/region.h"

namespace tandem::engine {

class page_pool : public boost::intrusive_ref_counter<page_pool> {
 public:
  using run = page_set::run;

  // For a shard of so many bytes. Throws std::bad_alloc.
  explicit page_pool(std::size_t memory_bytes);
  page_pool(const page_pool&) = delete;
  page_pool& operator=(const page_pool&) = delete;

  char* at(std::uint32_t page) const noexcept {
    return region_.base() + std::size_t{page} * page_bytes;
  }
  // At most `pages_max` pages in a row, warm ones first; they are used then. pages 0: the kernel
  // gives no more.
  run take(std::size_t pages_max) noexcept;
  // Takes back what take() gave; it is warm then.
  void give(run r) noexcept;

  // Bytes in use: pages, and what their users say they use besides.
  std::size_t used_bytes() const noexcept { return used_.load(std::memory_order_relaxed); }
  void use(std::size_t bytes) noexcept { used_.fetch_add(bytes, std::memory_order_relaxed); }
  void disuse(std::size_t bytes) noexcept { used_.fetch_sub(bytes, std::memory_order_relaxed); }
  std::size_t warm_bytes() const noexcept { return warm_.load(std::memory_order_relaxed); }
  // Gives at least `bytes` of warm memory back to the kernel, or all there is. Returns how much.
  std::size_t trim(std::size_t bytes) noexcept;

 private:
  std::mutex mutex_;
  region region_;
  page_set warm_pages_, cold_pages_;  // cold: address space without memory, used before
  std::size_t fresh_ = 0;             // pages from here on were never used
  std::atomic<std::size_t> used_{0};
  std::atomic<std::size_t> warm_{0};
};
using page_pool_ref = boost::intrusive_ptr<page_pool>;

}  // namespace tandem::engine
