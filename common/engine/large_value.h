// The bytes of a value too big to be copied under a lock, in runs of whole pages: written once by
// whoever reserved it, immutable from the moment it is stored, its memory free for others when the
// last reference goes. A client connection or a peer link that sends it holds a reference, so an
// overwrite or an eviction never pulls it away.
//
// While it is being written it holds the whole value. When it is stored, what is beyond the last
// whole page (the tail) moves into the item's record, so no page is left half empty: a stored value
// is its large_value's bytes and then the tail (item_view).
//
// Memory: taken by grant() as the bytes come, charged to its shard (page_pool.h) until the last
// release, so that a slow writer's and a slow reader's values stay inside the limit. References may
// be taken, dropped and read from by any thread without the shard's lock, and may outlive the
// shard.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include "common/engine/page_pool.h"

namespace tandem::engine {

// Values of at least this many bytes are large.
constexpr std::size_t large_value_min = page_bytes;
constexpr std::size_t large_value_max = std::size_t{1} << 30;

class large_value {
 public:
  // For `size` <= large_value_max bytes, none of them granted. Throws std::bad_alloc, and then
  // charges nothing.
  static boost::intrusive_ptr<large_value> make(std::size_t size, page_pool_ref pool);

  large_value(const large_value&) = delete;
  large_value& operator=(const large_value&) = delete;

  std::size_t size() const noexcept { return size_; }
  // The value's bytes in order, as one or more extents. At `offset` < size(): the contiguous bytes
  // from there to the end of their extent.
  std::string_view extent_at(std::size_t offset) const noexcept;

  // --- for the one writer, before the value is stored
  // Bytes that may be written, from the first.
  std::size_t granted() const noexcept;
  // The same as extent_at for writing; `offset` < granted().
  std::span<char> writable_at(std::size_t offset) noexcept;
  // Copies `bytes` to `offset`, where they must fit and be granted.
  void write(std::size_t offset, std::string_view bytes) noexcept;

  // --- for the shard
  // Bytes of memory that granting the first `upto` bytes would take.
  std::size_t growth(std::size_t upto) const noexcept;
  // False: the kernel gives no more; what it gave before is granted.
  bool grant(std::size_t upto) noexcept;
  // The bytes past the last whole page; trim() lets them go.
  std::string_view tail() const noexcept;
  void trim() noexcept;
  // Whether anyone but the caller's one reference holds it. False is final while the caller, being
  // the only holder, hands out no reference.
  bool shared() const noexcept { return references_.load(std::memory_order_acquire) > 1; }
  bool belongs_to(const page_pool& pool) const noexcept { return pool_.get() == &pool; }

  // Bytes of memory that a stored value of `size` bytes takes, but for its record.
  static std::size_t footprint(std::size_t size) noexcept;

 private:
  struct extent {
    std::uint32_t first = 0;  // its first page
    std::uint32_t end = 0;    // pages of the value up to its end
  };

  large_value(std::size_t size, page_pool_ref pool);
  ~large_value();
  std::span<const extent> extents() const noexcept;
  std::span<char> place_of(std::size_t offset) const noexcept;
  bool add(page_pool::run r) noexcept;
  std::size_t body() const noexcept { return size_ / page_bytes * page_bytes; }
  friend void intrusive_ptr_add_ref(const large_value* value) noexcept;
  friend void intrusive_ptr_release(const large_value* value) noexcept;

  mutable std::atomic<std::uint32_t> references_{0};
  std::uint32_t size_;
  extent only_;  // the extents, if they are but one; else it has the last's end
  std::vector<extent>* more_ = nullptr;  // all of them, if there are more
  char* tail_ = nullptr;                 // malloc'ed, until trimmed; null: no tail
  const page_pool_ref pool_;
};

using large_ref = boost::intrusive_ptr<large_value>;

}  // namespace tandem::engine
