#include "common/replication/journal.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/endian.h"

namespace tandem::replication {

namespace {
constexpr std::uint64_t is_touched = std::uint64_t{1} << 63;
}  // namespace

journal::journal(std::size_t limit_bytes) : limit_bytes_(std::max(limit_bytes, chunk_bytes)) {}

void journal::start() {
  if (recording_) return;
  recording_ = true;
  begin_ = end_;
}

void journal::stop() {
  recording_ = false;
  chunks_.clear();
  begin_ = end_;
}

void journal::append(version stored, std::string_view key, version touched) {
  CHECK(key.size() <= 255);
  if (!recording_) {
    begin_ = ++end_;
    return;
  }
  const std::size_t need = entry{stored, touched, key}.bytes();
  if (chunks_.empty() || chunks_.back().bytes.size() + need > chunk_bytes) {
    if ((chunks_.size() + 1) * chunk_bytes > limit_bytes_ && !chunks_.empty()) {
      begin_ = chunks_.front().first + chunks_.front().count;
      chunks_.pop_front();
    }
    chunks_.emplace_back().first = end_;
    chunks_.back().bytes.reserve(chunk_bytes);
  }
  chunk& last = chunks_.back();
  char head[entry_overhead + touch_bytes];
  store_le<std::uint64_t>(head, stored.word() | (touched ? is_touched : 0));
  head[sizeof(std::uint64_t)] = static_cast<char>(key.size());
  store_le<std::uint64_t>(head + entry_overhead, touched.word());
  last.bytes.append(head, entry_overhead + (touched ? touch_bytes : 0)).append(key);
  ++last.count;
  ++end_;
}

void journal::trim(position upto) {
  upto = std::min(upto, end_);
  while (!chunks_.empty() && chunks_.front().first + chunks_.front().count <= upto)
    chunks_.pop_front();
  begin_ = std::max(begin_, upto);
}

journal::entry journal::entry_at(const chunk& c, std::size_t offset) {
  const char* at = c.bytes.data() + offset;
  const auto word = load_le<std::uint64_t>(at);
  const auto size = static_cast<unsigned char>(at[sizeof(std::uint64_t)]);
  at += entry_overhead;
  if ((word & is_touched) == 0) return {version(word), {}, {at, size}};
  return {
      version(word & ~is_touched), version(load_le<std::uint64_t>(at)), {at + touch_bytes, size}};
}

std::size_t journal::entry::bytes() const {
  return entry_overhead + (touched ? touch_bytes : 0) + key.size();
}

}  // namespace tandem::replication
