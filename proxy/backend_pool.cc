#include "proxy/backend_pool.h"

#include <array>
#include <cstdio>
#include <utility>

#include "common/replication/status_rows.h"
#include "proxy/log.h"

namespace tandem::proxy {
namespace {

// A version that cannot be read is an old one.
bool at_least(const std::string& version, unsigned patch) {
  std::array<unsigned, 3> is{};
  if (std::sscanf(version.c_str(), "%u.%u.%u", &is[0], &is[1], &is[2]) != 3) return false;
  return is >= std::array{1U, 6U, patch};
}
// The meta commands' flag E.
constexpr unsigned takes_uniques = 27;
constexpr unsigned tells_deletions = 20;

}  // namespace

backend_pool::backend_pool(const config::backend_options& options, unsigned lane_count)
    : options_(options) {
  for (unsigned i = 0; i < lane_count; ++i)
    lanes_.add(all_.emplace_back(static_cast<std::uint16_t>(i)));
}

void backend_pool::follow(service::sidecar& by, std::function<void()> journaled) {
  follower_ = &by;
  lanes_.admit(false);
  journaled_ = std::move(journaled);
}

bool backend_pool::opened(const std::string& version) {
  const std::lock_guard guard(mutex_);
  explicit_cas_ = at_least(version, takes_uniques);
  version_ = version;
  last_failure_.clear();
  lost_ = false;
  if (open_++ == 0)
    spdlog::info("backend: memcached {} at {} ({})", version, options_.address,
                 explicit_cas_ ? "takes our CAS uniques" : "has CAS uniques of its own");
  return explicit_cas_;
}

void backend_pool::ready() {
  if (changed_) changed_();
}

void backend_pool::lost(const std::string& why, std::size_t unanswered) {
  const std::lock_guard guard(mutex_);
  --open_;
  ++losses_;
  unanswered_ += unanswered;
  if (follower_ != nullptr) lanes_.admit(false);
  if (changed_) changed_();
  if (std::exchange(lost_, true) && unanswered == 0) return;
  spdlog::warn("backend: connection lost: {}; requests without an answer: {}", why, unanswered);
}

void backend_pool::failed(const std::string& why) {
  const std::lock_guard guard(mutex_);
  if (why == last_failure_) return;
  last_failure_ = why;
  spdlog::warn("backend: cannot use {}: {}", options_.address, why);
}

void backend_pool::admit(std::uint64_t losses) {
  const std::lock_guard guard(mutex_);
  if (losses == losses_) lanes_.admit(true);
}

void backend_pool::watching(bool on) {
  const std::lock_guard guard(mutex_);
  watching_ = on;
}

void backend_pool::bypassed(std::uint64_t more) {
  const std::lock_guard guard(mutex_);
  bypassed_ += more;
}

bool backend_pool::logs_deletions() const {
  const std::lock_guard guard(mutex_);
  return at_least(version_, tells_deletions);
}

bool backend_pool::all_open() const {
  const std::lock_guard guard(mutex_);
  return open_ == all_.size();
}

std::uint64_t backend_pool::losses() const {
  const std::lock_guard guard(mutex_);
  return losses_;
}

void backend_pool::describe(std::vector<service::stat_row>& rows) const {
  const std::lock_guard guard(mutex_);
  const bool all = open_ == all_.size();
  const char* const open = lanes_.admits() ? "up" : "listing";
  rows.emplace_back("backend", all ? open : open_ == 0 ? "down" : "partly");
  rows.emplace_back("backend_address", replication::one_word(options_.address));
  rows.emplace_back("backend_version", replication::one_word(version_));
  rows.emplace_back("backend_explicit_cas", explicit_cas_ ? "yes" : "no");
  rows.emplace_back("backend_connections", std::to_string(open_));
  rows.emplace_back("backend_losses", std::to_string(losses_));
  rows.emplace_back("backend_unanswered", std::to_string(unanswered_));
  rows.emplace_back("backend_watched", watching_ ? "yes" : "no");
  rows.emplace_back("backend_bypassed", std::to_string(bypassed_));
}

}  // namespace tandem::proxy
