// A model of how memcached 1.6 holds items, to measure the engine beside (engine_bench.cc): a
// power-of-two array of bucket pointers that doubles at 1.5 items a bucket; items chained through
// h_next, each in a chunk of a slab class (factor 1.25, pages of 1 MiB); LRU lists that a set links
// and a get does not touch, but for the time and the flags of the item.
//
// Layout of an item: header 48 | CAS 8 | key NUL | value CR LF.
//
// What memcached does besides is left out, in its favour: eviction, the crawler and the background
// threads, statistics, and moving the buckets little by little (here the table is rebuilt at once).
// With `threads` it takes the locks that memcached takes, whatever its thread count: of the item
// (one of 4096), of the slabs, of the LRU list. set() of a new key by several threads is not
// supported: the table cannot grow then.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "common/base/check.h"
#include "common/base/hash.h"

namespace tandem::bench {

class chained_table {
 public:
  explicit chained_table(bool threads) : threads_(threads), buckets_(std::size_t{1} << 16) {
    std::size_t size = sizeof(item) + chunk_bytes_min;
    for (; size < slab_page_bytes / 2; size = (size * 5 / 4 + 7) & ~std::size_t{7})
      classes_.push_back({.chunk_bytes = size});
    CHECK(classes_.size() < 256);
  }

  // Copies the value to `out`; returns its size, 0: there is none.
  std::size_t get(std::uint64_t hash, std::string_view key, std::uint32_t now, char* out) {
    item* it = nullptr;
    {
      const auto guard = lock(item_lock(hash));
      it = find(hash, key);
      if (it == nullptr || (it->exptime != 0 && it->exptime <= now)) return 0;
      ++it->refcount;
      bump(*it, now);
    }
    const std::size_t size = it->value_size - 2U;
    std::memcpy(out, it->value(), size);
    const auto guard = lock(item_lock(hash));
    if (--it->refcount == 0) free_item(it);
    return size;
  }

  void set(std::uint64_t hash, std::string_view key, std::string_view value, std::uint32_t now) {
    item* const it = make_item(key, value, now);
    const auto guard = lock(item_lock(hash));
    if (item* const old = find(hash, key)) {
      unlink(hash, old);
      if (--old->refcount == 0) free_item(old);
    } else if (++items_ > buckets_.size() * 3 / 2) {
      grow();
    }
    link(hash, it);
  }

 private:
  static constexpr std::size_t slab_page_bytes = std::size_t{1} << 20;
  static constexpr std::size_t chunk_bytes_min = 48;
  static constexpr std::uint16_t fetched = 8, active = 16;

  struct item {
    item* next;
    item* prev;
    item* h_next;
    std::uint32_t time;
    std::uint32_t exptime;
    std::uint32_t value_size;  // with CR LF
    std::uint16_t refcount;
    std::uint16_t flags;
    std::uint8_t slab_class;
    std::uint8_t key_size;

    char* tail() { return reinterpret_cast<char*>(this + 1); }
    char* key_begin() { return tail() + sizeof(std::uint64_t); }
    std::string_view key() { return {key_begin(), key_size}; }
    char* value() { return key_begin() + key_size + 1; }
  };
  static_assert(sizeof(item) == 48);

  struct slab_class {
    std::size_t chunk_bytes;
    item* free = nullptr;
    item* lru_head = nullptr;
    item* lru_tail = nullptr;
    std::vector<std::unique_ptr<char[]>> pages{};
  };

  std::unique_lock<std::mutex> lock(std::mutex& mutex) const {
    return threads_ ? std::unique_lock(mutex) : std::unique_lock<std::mutex>();
  }
  std::mutex& item_lock(std::uint64_t hash) { return item_locks_[hash % item_locks_.size()]; }
  item*& bucket(std::uint64_t hash) { return buckets_[hash & (buckets_.size() - 1)]; }

  item* find(std::uint64_t hash, std::string_view key) {
    item* it = bucket(hash);
    while (it != nullptr && it->key() != key) it = it->h_next;
    return it;
  }

  static void bump(item& it, std::uint32_t now) {
    if ((it.flags & active) != 0) return;
    if ((it.flags & fetched) == 0) {
      it.flags |= fetched;
      return;
    }
    it.flags |= active;
    it.time = now;
  }

  item* make_item(std::string_view key, std::string_view value, std::uint32_t now) {
    const std::size_t bytes =
        sizeof(item) + sizeof(std::uint64_t) + key.size() + 1 + value.size() + 2;
    std::size_t number = 0;
    while (classes_[number].chunk_bytes < bytes) CHECK(++number < classes_.size());
    item* const it = take_chunk(classes_[number]);
    *it = {.next = nullptr,
           .prev = nullptr,
           .h_next = nullptr,
           .time = now,
           .exptime = 0,
           .value_size = static_cast<std::uint32_t>(value.size() + 2),
           .refcount = 1,
           .flags = 0,
           .slab_class = static_cast<std::uint8_t>(number),
           .key_size = static_cast<std::uint8_t>(key.size())};
    std::memcpy(it->key_begin(), key.data(), key.size());
    it->key_begin()[key.size()] = '\0';
    std::memcpy(it->value(), value.data(), value.size());
    std::memcpy(it->value() + value.size(), "\r\n", 2);
    return it;
  }

  item* take_chunk(slab_class& from) {
    const auto guard = lock(slabs_lock_);
    if (from.free == nullptr) {
      from.pages.emplace_back(new char[slab_page_bytes]);
      const std::size_t chunks = slab_page_bytes / from.chunk_bytes;
      for (std::size_t n = 0; n < chunks; ++n) {
        item* const it = reinterpret_cast<item*>(from.pages.back().get() + n * from.chunk_bytes);
        it->next = from.free;
        from.free = it;
      }
    }
    item* const it = from.free;
    from.free = it->next;
    return it;
  }

  void free_item(item* it) {
    const auto guard = lock(slabs_lock_);
    slab_class& of = classes_[it->slab_class];
    it->next = of.free;
    of.free = it;
  }

  void link(std::uint64_t hash, item* it) {
    const std::uint64_t cas = cas_.fetch_add(1, std::memory_order_relaxed);
    std::memcpy(it->tail(), &cas, sizeof cas);
    it->h_next = bucket(hash);
    bucket(hash) = it;
    const auto guard = lock(lru_lock_);
    slab_class& of = classes_[it->slab_class];
    it->prev = nullptr;
    it->next = of.lru_head;
    (of.lru_head != nullptr ? of.lru_head->prev : of.lru_tail) = it;
    of.lru_head = it;
  }

  void unlink(std::uint64_t hash, item* it) {
    item** at = &bucket(hash);
    while (*at != it) at = &(*at)->h_next;
    *at = it->h_next;
    const auto guard = lock(lru_lock_);
    slab_class& of = classes_[it->slab_class];
    (it->prev != nullptr ? it->prev->next : of.lru_head) = it->next;
    (it->next != nullptr ? it->next->prev : of.lru_tail) = it->prev;
  }

  void grow() {
    std::vector<item*> before(buckets_.size() * 2);
    before.swap(buckets_);
    for (item* it : before) {
      while (it != nullptr) {
        item* const next = it->h_next;
        item*& to = bucket(hash_key(it->key()));
        it->h_next = to;
        to = it;
        it = next;
      }
    }
  }

  const bool threads_;
  std::vector<item*> buckets_;
  std::vector<slab_class> classes_;
  std::size_t items_ = 0;
  std::atomic<std::uint64_t> cas_{1};
  std::array<std::mutex, 4096> item_locks_;
  std::mutex slabs_lock_, lru_lock_;
};

}  // namespace tandem::bench
