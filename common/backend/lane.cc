#include "common/backend/lane.h"

#include <algorithm>

namespace tandem::backend {

namespace {
constexpr std::size_t read_size = std::size_t{16} << 10;
constexpr std::size_t kept_bytes = std::size_t{256} << 10;
constexpr std::size_t forget_min = 1024;  // requests
}  // namespace

void lane::access::add(expected what, std::string_view key) {
  run& to = lane_.added_;
  what.key_at = static_cast<std::uint32_t>(to.keys.size());
  if (what.reply.what != change::none) {
    what.key_size = static_cast<std::uint8_t>(key.size());
    to.keys.append(key);
    lane_.changing(what.hash).fetch_add(1);
  }
  to.list.push_back(what);
  // Whoever makes them enough wakes for all that come before they are looked at.
  if (to.list.size() == lane_.enough_) lane_.waker_->wanted();
}

void lane::open(bool explicit_cas) {
  explicit_cas_.store(explicit_cas, std::memory_order_relaxed);
  up_.store(true, std::memory_order_release);
}

void lane::take_output(byte_buffer& to) {
  const std::lock_guard guard(mutex_);
  enough_ = std::max<std::size_t>(sent_.list.size() - next_, 1);
  if (added_.list.size() < enough_) return;
  enough_ = 1;
  std::swap(out_, to);
  out_.shrink(kept_bytes);
  if (next_ == sent_.list.size()) {
    sent_.clear();
    next_ = 0;
    std::swap(added_, sent_);
    return;
  }
  if (next_ >= forget_min) forget_answered();
  const auto base = static_cast<std::uint32_t>(sent_.keys.size());
  sent_.keys += added_.keys;
  for (expected& each : added_.list) {
    each.key_at += base;
    sent_.list.push_back(each);
  }
  added_.clear();
}

// Some wait still.
void lane::forget_answered() {
  const std::uint32_t gone = sent_.list[next_].key_at;
  sent_.keys.erase(0, gone);
  sent_.list.erase(sent_.list.begin(), sent_.list.begin() + static_cast<std::ptrdiff_t>(next_));
  next_ = 0;
  for (expected& each : sent_.list) each.key_at -= gone;
}

std::span<char> lane::prepare() {
  const std::size_t known = finder_.size() > in_.size() ? finder_.size() - in_.size() : 0;
  if (in_.empty()) in_.shrink(kept_bytes);
  return in_.reserve(std::max(read_size, known));
}

expected* lane::front() {
  if (next_ == sent_.list.size()) {
    // Lost before it was sent.
    const std::lock_guard guard(mutex_);
    if (up()) return nullptr;
    sent_.clear();
    next_ = 0;
    std::swap(added_, sent_);
    if (sent_.list.empty()) return nullptr;
  }
  return &sent_.list[next_];
}

bool lane::waiting() {
  const std::lock_guard guard(mutex_);
  return next_ != sent_.list.size() || !added_.list.empty();
}

}  // namespace tandem::backend
