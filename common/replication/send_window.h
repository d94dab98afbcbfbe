// How much may be sent ahead of the peer's acknowledgements. A fixed amount would be either too
// little for a fast peer or minutes of work for a slow one, and the heartbeats share the
// connection: what lies before them must not take a slow peer for long. So the window follows the
// time that acknowledgements take: it grows while they come early, and shrinks when what waits
// ahead of the peer is more than it takes in half of `delay`. It grows no further than it is made
// use of, and shrinks when it is not any more: a peer that gets slow finds little on the way.
//
// Measured: with a peer that takes 1 MB/s of 13 MB/s and a `delay` of 250 ms a heartbeat returns
// within 200 ms (tests/fault/test_slow_peer.py).
//
// The peer need not say how much it may be sent: it merges what it reads at once and holds a frame
// and a read buffer, nothing else. This is the credit that it gives.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "common/base/time.h"

namespace tandem::replication {

class send_window {
 public:
  using duration = std::chrono::microseconds;

  // `most`: bytes, whatever the peer does. `delay`: how long what is under way may take the peer,
  // beyond what an acknowledgement takes at the least; that long at the most, and usually less.
  send_window(std::size_t most, duration delay) : most_(most), delay_(delay) { begin(); }

  // A session begins.
  void begin() noexcept {
    size_ = std::min(most_, first_bytes);
    quickest_ = duration::max();
    next_cut_ = {};
  }

  std::size_t size() const noexcept { return size_; }

  // `bytes` that were sent `took` ago are acknowledged; `ahead` bytes were under way till then.
  void acknowledged(std::size_t bytes, duration took, std::size_t ahead, steady_time now) noexcept {
    quickest_ = std::min(quickest_, took);
    const duration waited = took - quickest_;
    if (waited > delay_ / 2) {
      // Once for what was sent under the old size: the rest of it will be late too.
      if (now < next_cut_) return;
      size_ = std::max(size_ / 2, std::min(most_, least_bytes));
      next_cut_ = now + took;
    } else if (waited < delay_ / 8 && ahead * 2 > size_) {
      size_ = std::min(most_, size_ + bytes);
    } else if (ahead * 4 < size_ && size_ > first_bytes && now >= next_cut_) {
      size_ = std::max(size_ / 2, first_bytes);
      next_cut_ = now + delay_;
    }
  }

 private:
  static constexpr std::size_t first_bytes = std::size_t{64} << 10;
  static constexpr std::size_t least_bytes = std::size_t{32} << 10;

  std::size_t most_;
  duration delay_;
  std::size_t size_ = 0;
  duration quickest_{};
  steady_time next_cut_{};
};

}  // namespace tandem::replication
