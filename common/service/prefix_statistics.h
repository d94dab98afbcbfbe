// `stats detail`: how often the keys of one prefix (what stands before the first ':') were asked
// for, found, stored and deleted. Off until a client turns it on; then every command that names a
// key takes one lock, which is what memcached's does too. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace tandem::service {

class prefix_statistics {
 public:
  static constexpr char delimiter = ':';
  // Prefixes beyond so many are not counted: keys come from the network.
  static constexpr std::size_t prefixes_max = 256;

  bool enabled() const noexcept { return enabled_.load(std::memory_order_relaxed); }
  void enable(bool on) noexcept { enabled_.store(on, std::memory_order_relaxed); }

  void record_get(std::string_view key, bool hit);
  void record_set(std::string_view key);
  void record_delete(std::string_view key);
  void clear();
  // The whole answer to `stats detail dump`, END included.
  std::string dump() const;

 private:
  struct counts {
    std::uint64_t gets = 0, hits = 0, sets = 0, deletes = 0;
  };
  counts* find(std::string_view key);  // mutex_ held; null: not counted

  std::atomic<bool> enabled_{false};
  mutable std::mutex mutex_;
  std::map<std::string, counts, std::less<>> prefixes_;
};

}  // namespace tandem::service
