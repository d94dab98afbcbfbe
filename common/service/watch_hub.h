// `watch`: what happens in the node, streamed to the clients that ask for it.
//
// Whoever causes something asks wants(), one relaxed load, and builds a line only if someone
// watches. publish() puts it, with a time and a number, into the buffer of each watcher of that
// kind; whoever owns the watcher's socket take()s it from there.
//
// Guarantees:
// - A watcher costs at most buffer_bytes, however slow it is: a line that does not fit is skipped
//   for it, and counted; the next one that fits comes behind a line `skipped=N`.
// - Numbers (gid) rise by one with each line published, in the order of the buffers.
// - Nobody waits for a watcher.
//
// Any thread. The hub's mutex is taken after a shard's lock, never before one.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "common/base/time.h"
#include "common/service/output.h"
#include "common/service/watch_ring.h"

namespace tandem::service {

// What may be watched, a bit each.
namespace watch {
constexpr unsigned fetchers = 1;       // every look for a key, also that of a store
constexpr unsigned mutations = 2;      // every store and its outcome
constexpr unsigned evictions = 4;      // what had to go for want of memory
constexpr unsigned deletions = 8;      // deletes of something that was there
constexpr unsigned connevents = 16;    // clients that come and go
constexpr unsigned sysevents = 32;     // memcached's slab moves and crawls: there are none here
constexpr unsigned rawcmds = 64;       // without lines in memcached 1.6.45 too
constexpr unsigned replication = 128;  // the link's life, and what the peer's records came to

// The bit of a word of `watch`; 0: there is no such kind.
unsigned kind_of(std::string_view word) noexcept;
}  // namespace watch

// Told that a watcher's buffer is no longer empty. Called from any thread, with the hub's mutex
// held: it may only pass the word on.
class watch_waker {
 public:
  virtual void wake() = 0;

 protected:
  ~watch_waker() = default;
};

class watch_hub {
 public:
  static constexpr std::size_t watchers_max = 20;  // as memcached
  static constexpr std::size_t buffer_bytes = std::size_t{256} << 10;

  // A place among the watchers, for as long as it lives. Does not outlive the hub.
  class watcher {
   public:
    watcher(watch_hub& hub, unsigned kinds, watch_waker* waker);
    ~watcher();
    watcher(const watcher&) = delete;
    watcher& operator=(const watcher&) = delete;

    // Moves up to about `max` bytes to the output. Once that leaves nothing the waker is told of
    // the next line.
    void take(std::size_t max, output_queue& to);

   private:
    friend class watch_hub;
    watch_hub& hub_;
    const unsigned kinds_;
    watch_waker* const waker_;
    watch_ring lines_{buffer_bytes};
    std::uint64_t skipped_ = 0;
    bool sleeps_ = true;  // the waker is to be told of the next line
  };

  bool wants(unsigned kinds) const noexcept {
    return (kinds_.load(std::memory_order_relaxed) & kinds) != 0;
  }
  // Null: watchers_max are there already. `waker` may be null, and outlives the watcher.
  std::unique_ptr<watcher> add(unsigned kinds, watch_waker* waker);
  // `what` is a watch_line's text.
  void publish(unsigned kind, wall_time when, std::string_view what);

  struct counts {
    std::uint64_t watchers = 0;  // now
    std::uint64_t published = 0;
    std::uint64_t skipped = 0;  // lines, of all watchers
    std::uint64_t sent = 0;     // lines put into a watcher's buffer
  };
  counts statistics() const;
  void reset_statistics();

 private:
  void put(watcher& to, std::string_view line);
  void remove(const watcher& which);

  std::atomic<unsigned> kinds_{0};  // of all watchers
  mutable std::mutex mutex_;
  std::vector<watcher*> watchers_;
  std::uint64_t last_number_ = 0;
  counts counts_;
};

}  // namespace tandem::service
