#include "common/service/output.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"

namespace tandem::service {
namespace {

// An output that was sent keeps no more than this: an idle connection holds next to nothing.
constexpr std::size_t kept_capacity = 1024;
// The most that a new run of replies starts with because the last one needed it.
constexpr std::size_t first_capacity_max = 16 * 1024;

}  // namespace

void output_queue::pin(const engine::large_value& value) {
  pins_.push_back({appended_, boost::intrusive_ptr<const engine::large_value>(&value)});
  size_ += value.size();
}

std::size_t output_queue::pieces(std::span<std::string_view> pieces) const {
  std::size_t count = 0;
  std::string_view text = text_.view();
  std::uint64_t at = sent_;
  std::size_t skip = first_pin_sent_;
  for (std::size_t i = first_pin_; i < pins_.size(); ++i) {
    const pinned& pin = pins_[i];
    if (pin.text_before != at) {
      if (count == pieces.size()) return count;
      const std::size_t length = static_cast<std::size_t>(pin.text_before - at);
      pieces[count++] = text.substr(0, length);
      text.remove_prefix(length);
      at = pin.text_before;
    }
    for (std::size_t offset = skip; offset < pin.value->size();) {
      if (count == pieces.size()) return count;
      pieces[count] = pin.value->extent_at(offset);
      offset += pieces[count++].size();
    }
    skip = 0;
  }
  if (!text.empty() && count < pieces.size()) pieces[count++] = text;
  return count;
}

void output_queue::sent(std::size_t n) {
  CHECK(n <= size_);
  size_ -= n;
  gone_ += n;
  while (n != 0) {
    const bool has_pin = first_pin_ < pins_.size();
    const std::uint64_t text_end = has_pin ? pins_[first_pin_].text_before : appended_;
    if (sent_ != text_end) {
      const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(n, text_end - sent_));
      text_.consume(part);
      sent_ += part;
      n -= part;
      continue;
    }
    const std::size_t part = std::min(n, pins_[first_pin_].value->size() - first_pin_sent_);
    first_pin_sent_ += part;
    n -= part;
    if (first_pin_sent_ == pins_[first_pin_].value->size()) drop_first_pin();
  }
  if (size_ == 0) release_memory();
}

void output_queue::rewrite(std::span<const change> changes) {
  output_queue fresh;
  fresh.gone_ = gone_;
  fresh.first_capacity_ = first_capacity_;
  std::uint64_t at = gone_, skip_to = gone_;
  const auto begin_changes = [&] {
    while (!changes.empty() && changes.front().begin <= at && at >= skip_to) {
      fresh.append(changes.front().text);
      skip_to = changes.front().end;
      changes = changes.subspan(1);
    }
  };
  const auto take_text = [&](std::string_view run) {
    while (!run.empty()) {
      begin_changes();
      const bool skips = at < skip_to;
      std::uint64_t upto = at + run.size();
      if (skips)
        upto = std::min(upto, skip_to);
      else if (!changes.empty())
        upto = std::min(upto, changes.front().begin);
      const auto n = static_cast<std::size_t>(upto - at);
      if (!skips) fresh.append(run.substr(0, n));
      run.remove_prefix(n);
      at = upto;
    }
  };
  std::string_view text = text_.view();
  std::uint64_t text_at = sent_;
  for (std::size_t i = first_pin_; i < pins_.size(); ++i) {
    const auto before = static_cast<std::size_t>(pins_[i].text_before - text_at);
    take_text(text.substr(0, before));
    text.remove_prefix(before);
    text_at += before;
    begin_changes();
    const std::size_t gone = i == first_pin_ ? first_pin_sent_ : 0;
    if (at >= skip_to) {
      fresh.pin(*pins_[i].value);
      fresh.first_pin_sent_ += gone;  // only the first thing in the queue can be gone in part
      fresh.size_ -= gone;
    }
    at += pins_[i].value->size() - gone;
  }
  take_text(text);
  begin_changes();
  *this = std::move(fresh);
}

void output_queue::drop_first_pin() {
  pins_[first_pin_].value.reset();
  first_pin_sent_ = 0;
  ++first_pin_;
  if (first_pin_ * 2 < pins_.size()) return;
  pins_.erase(pins_.begin(), pins_.begin() + static_cast<std::ptrdiff_t>(first_pin_));
  first_pin_ = 0;
}

void output_queue::release_memory() {
  first_capacity_ = std::min(text_.capacity(), first_capacity_max);
  text_.shrink(kept_capacity);
  if (pins_.capacity() * sizeof(pinned) > kept_capacity) pins_ = {};
}

}  // namespace tandem::service
