// What a memcached tells of changes to those who watch it (`watch mutations deletions`),
// from 1.6.18 on: enough to notice writes that went round the process before it. It does not tell
// all: an incr in place, a touch and a flush are not logged, deletions only from 1.6.20 on, and
// what a watcher does not take in time is left out. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "common/base/time.h"
#include "common/base/version.h"

namespace tandem::backend {

struct logged_change {
  enum class kind : std::uint8_t {
    other,    // it tells of nothing of this
    stored,   // or was to be: by `connection`, the number that memcached gave it
    removed,  // by whom is not told
    skipped,  // `count` lines
  };
  kind what = kind::other;
  bool happened = false;  // of stored
  std::string key;
  std::int64_t connection = -1;
  wall_time at;
  std::uint64_t count = 0;
};

// `line` without its end.
logged_change read_log_line(std::string_view line);

// The key that connection `number` of the owner's uses to learn which number memcached gives it:
// the connection replaces it, which nothing comes of but a line. `secret`: any number that others
// will not use.
std::string probe_key(std::uint64_t secret, std::size_t number);
// What it is to send; the reply is a line.
std::string probe_request(const std::string& key);

// Tells the owner's writes from those of others. One thread.
class bypass_watch {
 public:
  // A removal is looked at so late, when the owner's own are surely known to it.
  static constexpr std::chrono::seconds removal_delay{1};

  // `connections` of the owner's, each with a probe_key.
  bypass_watch(std::uint64_t secret, std::size_t connections)
      : secret_(secret), connections_(connections) {}

  // Whether all connections are known by their numbers. Until then changes by others are not told
  // from the owner's.
  bool knows_all() const noexcept { return own_.size() >= connections_; }
  void heard(const logged_change& change, instant now);
  // Looks at removals that are due. `held`: since when the owner takes the key for stored;
  // nothing: it does not.
  template <class Held>
  void look(instant now, Held&& held);

  // Changes by others, and lines that were left out, so far.
  std::uint64_t bypassed() const noexcept { return bypassed_; }
  std::uint64_t skipped() const noexcept { return skipped_; }

 private:
  static constexpr std::size_t removals_max = 1024;

  struct removal {
    std::string key;
    wall_time at;
    steady_time due;
  };

  const std::uint64_t secret_;
  const std::size_t connections_;
  std::unordered_set<std::int64_t> own_;
  std::vector<removal> removals_;
  std::uint64_t bypassed_ = 0, skipped_ = 0;
};

template <class Held>
void bypass_watch::look(instant now, Held&& held) {
  std::size_t looked = 0;
  for (const removal& each : removals_) {
    if (each.due > now.steady) break;
    ++looked;
    const std::optional<version> since = held(each.key);
    if (since && since->ticks() < version::ticks_at(each.at)) ++bypassed_;
  }
  removals_.erase(removals_.begin(), removals_.begin() + static_cast<std::ptrdiff_t>(looked));
}

}  // namespace tandem::backend
