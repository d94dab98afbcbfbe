// Where commands are executed: here, or at the peer because it is the master (replication.writes)
// or has what is missing here (replication.while_syncing). Shared by all connections; what may
// change is one word.
//
// Threads: set() in the link's, the rest in any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/replication/event.h"
#include "common/service/executor.h"

namespace tandem::service {

class write_routes {
 public:
  // `prefixes`: of the keys that are meant; none: all are.
  write_routes(std::vector<std::string> prefixes, std::chrono::milliseconds timeout)
      : prefixes_(std::move(prefixes)), timeout_(timeout) {}

  void set(replication::effect::routes r) noexcept {
    reads_.store(r.reads_through, std::memory_order_relaxed);
    writes_.store(r.writes, std::memory_order_release);
  }
  replication::write_place writes() const noexcept {
    return writes_.load(std::memory_order_acquire);
  }
  // A retrieval that would miss is asked of the peer.
  bool reads_through() const noexcept { return reads_.load(std::memory_order_relaxed); }
  // How long a command may be on its way, tries and all.
  std::chrono::milliseconds timeout() const noexcept { return timeout_; }

  // Whether the command changes something that `writes` decides for.
  bool covers(const command& r) const;

 private:
  bool covers_key(std::string_view key) const;

  const std::vector<std::string> prefixes_;
  const std::chrono::milliseconds timeout_;
  std::atomic<replication::write_place> writes_{replication::write_place::here};
  std::atomic<bool> reads_{false};
};

}  // namespace tandem::service
