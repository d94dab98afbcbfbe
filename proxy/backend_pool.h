// What the connections to the memcached that keeps the data (cache.engine) have in common: the
// lanes, one for each worker, and what is told of them in `stats` and the log. Any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "common/backend/lane.h"
#include "common/service/server.h"
#include "common/service/sidecar.h"
#include "config/options.h"

namespace tandem::proxy {

// A reply for a session of another thread.
struct backend_mail {
  backend::expected to;
  std::string reply;
};

class backend_pool {
 public:
  backend_pool(const config::backend_options& options, unsigned lane_count);

  const config::backend_options& options() const noexcept { return options_; }
  backend::lanes& lanes() noexcept { return lanes_; }
  backend::lane& lane(std::size_t number) noexcept { return all_[number]; }

  // Who follows what clients change in the backend, and is to be told that something was
  // journaled; before any thread runs, or never.
  void follow(service::sidecar& by, std::function<void()> journaled);
  service::sidecar* follower() const noexcept { return follower_; }
  void journaled() const { journaled_(); }

  // A lane is open; `version` as the backend says it. Returns whether it takes CAS uniques.
  bool opened(const std::string& version);
  // After that, once the lane takes requests.
  void ready();
  // A lane that was open is not any more.
  void lost(const std::string& why, std::size_t unanswered);
  // It did not get that far.
  void failed(const std::string& why);

  // Told, in any thread, when one is opened or lost; before any thread runs.
  void watch(std::function<void()> changed) { changed_ = std::move(changed); }
  bool all_open() const;
  // Clients may see what the backend holds, unless a lane was lost since there had been so many
  // losses. After any loss they may not, if somebody follows.
  void admit(std::uint64_t losses);
  std::uint64_t losses() const;

  // What a watcher sees there: whether it does, and how many more writes went round this process.
  void watching(bool on);
  void bypassed(std::uint64_t more);
  // Whether it logs deletions for watchers (1.6.20 and later).
  bool logs_deletions() const;

  // Of plain `stats`.
  void describe(std::vector<service::stat_row>& rows) const;

 private:
  const config::backend_options options_;
  std::deque<backend::lane> all_;
  backend::lanes lanes_;
  service::sidecar* follower_ = nullptr;
  std::function<void()> journaled_, changed_;
  mutable std::mutex mutex_;  // guards the rest
  std::string version_;
  std::string last_failure_;  // said once, not at every attempt
  bool lost_ = false;         // likewise
  bool explicit_cas_ = false;
  unsigned open_ = 0;
  std::uint64_t losses_ = 0;
  std::uint64_t unanswered_ = 0;
  bool watching_ = false;
  std::uint64_t bypassed_ = 0;
};

}  // namespace tandem::proxy
