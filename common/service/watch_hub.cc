#include "common/service/watch_hub.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>

namespace tandem::service {
namespace {

// ts=SECONDS.MICROSECONDS gid=NUMBER TEXT; the text is a watch_line's.
constexpr std::size_t watched_bytes_max = 1024 + 64;
// Room for a `skipped=N` before a line.
constexpr std::size_t skipped_bytes_max = 32;

std::string_view complete(std::array<char, watched_bytes_max>& line, wall_time when,
                          std::uint64_t number, std::string_view what) {
  const auto microseconds = when.time_since_epoch().count();
  const int length = std::snprintf(line.data(), line.size(), "ts=%lld.%06lld gid=%llu %.*s\n",
                                   static_cast<long long>(microseconds / 1'000'000),
                                   static_cast<long long>(microseconds % 1'000'000),
                                   static_cast<unsigned long long>(number),
                                   static_cast<int>(what.size()), what.data());
  return {line.data(), std::min(static_cast<std::size_t>(length), line.size() - 1)};
}

}  // namespace

unsigned watch::kind_of(std::string_view word) noexcept {
  struct named {
    std::string_view name;
    unsigned kind;
  };
  static constexpr named kinds[] = {
      {"fetchers", fetchers},   {"mutations", mutations},     {"evictions", evictions},
      {"deletions", deletions}, {"connevents", connevents},   {"sysevents", sysevents},
      {"rawcmds", rawcmds},     {"replication", replication},
  };
  for (const auto& [name, kind] : kinds)
    if (name == word) return kind;
  return 0;
}

watch_hub::watcher::watcher(watch_hub& hub, unsigned kinds, watch_waker* waker)
    : hub_(hub), kinds_(kinds), waker_(waker) {}

watch_hub::watcher::~watcher() {
  hub_.remove(*this);
}

void watch_hub::watcher::take(std::size_t max, output_queue& to) {
  const std::lock_guard guard(hub_.mutex_);
  while (max != 0 && lines_.size() != 0) {
    const std::string_view bytes = lines_.front().substr(0, max);
    to.append(bytes);
    max -= bytes.size();
    lines_.pop(bytes.size());
  }
  sleeps_ = lines_.size() == 0;
}

std::unique_ptr<watch_hub::watcher> watch_hub::add(unsigned kinds, watch_waker* waker) {
  auto fresh = std::make_unique<watcher>(*this, kinds, waker);
  const std::lock_guard guard(mutex_);
  if (watchers_.size() >= watchers_max) return nullptr;
  watchers_.push_back(fresh.get());
  kinds_.store(kinds_.load(std::memory_order_relaxed) | kinds, std::memory_order_relaxed);
  return fresh;
}

void watch_hub::remove(const watcher& which) {
  const std::lock_guard guard(mutex_);
  std::erase(watchers_, &which);
  unsigned kinds = 0;
  for (const watcher* each : watchers_) kinds |= each->kinds_;
  kinds_.store(kinds, std::memory_order_relaxed);
}

void watch_hub::publish(unsigned kind, wall_time when, std::string_view what) {
  std::array<char, watched_bytes_max> text;
  const std::lock_guard guard(mutex_);
  const std::string_view line = complete(text, when, ++last_number_, what);
  ++counts_.published;
  for (watcher* each : watchers_)
    if ((each->kinds_ & kind) != 0) put(*each, line);
}

void watch_hub::put(watcher& to, std::string_view line) {
  if (to.lines_.free() < line.size() + skipped_bytes_max) {
    ++to.skipped_;
    ++counts_.skipped;
    return;
  }
  if (to.skipped_ != 0) {
    char note[skipped_bytes_max];
    const int length = std::snprintf(note, sizeof note, "skipped=%llu\n",
                                     static_cast<unsigned long long>(to.skipped_));
    to.lines_.push({note, static_cast<std::size_t>(length)});
    to.skipped_ = 0;
  }
  to.lines_.push(line);
  ++counts_.sent;
  if (!to.sleeps_) return;
  to.sleeps_ = false;
  if (to.waker_ != nullptr) to.waker_->wake();
}

watch_hub::counts watch_hub::statistics() const {
  const std::lock_guard guard(mutex_);
  counts now = counts_;
  now.watchers = watchers_.size();
  return now;
}

void watch_hub::reset_statistics() {
  const std::lock_guard guard(mutex_);
  counts_ = {};
}

}  // namespace tandem::service
