// A value too big to be copied under a lock: written once by whoever reserved it, immutable from
// the moment it is stored, freed when the last reference goes. A client connection or a peer link
// that sends it holds a reference, so an overwrite or an eviction never pulls it away.
//
// Memory: it is charged to its shard from reservation to the last release (shard.h), so a slow
// reader's pins stay inside the limit. References may be taken, dropped and read from by any
// thread without the shard's lock, and may outlive the shard.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

namespace tandem::engine {

// Values of at least this many bytes are large.
constexpr std::size_t large_value_min = std::size_t{16} * 1024;

// The bytes that the large values of one shard take. Counted rather than owned by the shard: a
// connection that closes after the shard is gone still has somewhere to give its bytes back to.
// Added to under the shard's lock, subtracted from by any thread.
class large_charge : public boost::intrusive_ref_counter<large_charge> {
 public:
  std::size_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }

 private:
  friend class large_value;
  std::atomic<std::size_t> bytes_{0};
};
using large_charge_ref = boost::intrusive_ptr<large_charge>;

class large_value {
 public:
  // Uninitialised bytes, charged to `charge` now and credited back when the value is freed.
  // Throws std::bad_alloc, and then charges nothing.
  static boost::intrusive_ptr<large_value> make(std::size_t size, large_charge_ref charge);

  large_value(const large_value&) = delete;
  large_value& operator=(const large_value&) = delete;

  std::size_t size() const noexcept { return size_; }
  // The value's bytes in order, as one or more extents. At `offset` < size(): the contiguous bytes
  // from there to the end of their extent.
  std::string_view extent_at(std::size_t offset) const noexcept;
  // The same for the one writer, before the value is stored.
  std::span<char> writable_at(std::size_t offset) noexcept;
  // Copies `bytes` to `offset`, where they must fit; writer only.
  void write(std::size_t offset, std::string_view bytes) noexcept;

  // Whether anyone but the caller's one reference holds it. False is final while the caller, being
  // the only holder, hands out no reference.
  bool shared() const noexcept { return references_.load(std::memory_order_acquire) > 1; }
  bool charged_to(const large_charge& charge) const noexcept { return charge_.get() == &charge; }

  // Bytes of memory that a value of `size` bytes takes, overhead included: what glibc's malloc
  // takes for it, rounded up where it depends on the heap's state.
  static std::size_t footprint(std::size_t size) noexcept;

 private:
  large_value(std::size_t size, large_charge_ref charge) noexcept;
  ~large_value();
  char* bytes() noexcept { return reinterpret_cast<char*>(this + 1); }
  const char* bytes() const noexcept { return reinterpret_cast<const char*>(this + 1); }
  friend void intrusive_ptr_add_ref(const large_value* value) noexcept;
  friend void intrusive_ptr_release(const large_value* value) noexcept;

  mutable std::atomic<std::uint32_t> references_{0};
  const std::size_t size_;
  const large_charge_ref charge_;
  // The bytes follow the object in the same allocation.
};

using large_ref = boost::intrusive_ptr<large_value>;

}  // namespace tandem::engine
