#include "common/backend/lane.h"

#include <algorithm>

#include "common/protocol/reply.h"

namespace tandem::backend {

namespace {
constexpr std::size_t read_size = std::size_t{16} << 10;
constexpr std::size_t kept_bytes = std::size_t{256} << 10;
constexpr std::size_t forget_min = 1024;  // requests
// The backend looks for all keys of a line before it turns to another client.
constexpr unsigned line_keys_max = 32;
}  // namespace

bool lane::access::joins(protocol::verb what) const noexcept {
  if (lane_.added_.list.empty() || lane_.on_line_ >= line_keys_max) return false;
  const expected& last = lane_.added_.list.back();
  return last.what == what && last.reply.shape == reply_shape::values &&
         last.reply.what == change::none;
}

void lane::access::add(expected what, std::string_view key) {
  run& to = lane_.added_;
  what.key_at = static_cast<std::uint32_t>(to.keys.size());
  if (what.reply.what != change::none) lane_.changing(what.hash).fetch_add(1);
  if (what.reply.what != change::none || what.reply.shape == reply_shape::values) {
    what.key_size = static_cast<std::uint8_t>(key.size());
    to.keys.append(key);
  }
  if (what.reply.joined) to.list.back().goes_on = true;
  lane_.on_line_ = what.reply.joined ? lane_.on_line_ + 1 : 1;
  to.list.push_back(what);
  // Whoever makes them enough wakes for all that come before they are looked at.
  if (to.list.size() == lane_.enough_) wakes_ = true;
}

void lane::access::add_quiet(expected what) {
  if (lane_.quiet_) {
    ++lane_.added_.list.back().requests;
    return;
  }
  what.reply.shape = reply_shape::quiet;
  add(what, {});
  lane_.quiet_ = true;
}

void lane::end_quiet() {
  if (std::exchange(quiet_, false)) out_.append("mn\r\n");
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
  end_quiet();
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

// A line's replies come in the order of its keys, and END behind them.
reply_finder::status lane::find_reply(const expected& what) {
  if (what.goes_on) return finder_.find_value(in_.view(), key_of(what));
  const auto found = finder_.find(in_.view(), what.reply.shape);
  if (!what.reply.joined || found != reply_finder::status::complete || !is_value(in_.view()))
    return found;
  reply_finder own;
  (void)own.find_value(in_.view(), key_of(what));
  const bool alone = own.size() + protocol::reply::end.size() == finder_.size();
  return alone ? found : reply_finder::status::malformed;
}

// Of a reply that holds nothing: the backend has no value, or the line that stands there says why.
std::string_view lane::missing() const {
  const std::string_view line = in_.view().substr(0, in_.view().find('\n') + 1);
  return is_value(line) ? protocol::reply::end : line;
}

bool lane::waiting() {
  const std::lock_guard guard(mutex_);
  return next_ != sent_.list.size() || !added_.list.empty();
}

}  // namespace tandem::backend
