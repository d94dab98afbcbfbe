#include "common/backend/change_log.h"

#include "common/backend/metadump.h"
#include "common/protocol/numbers.h"
#include "common/protocol/tokens.h"

namespace tandem::backend {

namespace {

// SECONDS.MICROSECONDS, the latter without leading zeros.
wall_time read_time(std::string_view text) {
  const std::size_t point = text.find('.');
  if (point == std::string_view::npos) return {};
  const auto seconds = protocol::parse_strict<std::uint32_t>(text.substr(0, point));
  const auto us = protocol::parse_strict<std::uint32_t>(text.substr(point + 1));
  return wall_time(std::chrono::seconds(seconds.value_or(0)) +
                   std::chrono::microseconds(us.value_or(0)));
}

}  // namespace

logged_change read_log_line(std::string_view line) {
  logged_change change;
  protocol::token_cursor words(line);
  for (auto word = words.next(); !word.empty(); word = words.next()) {
    const std::size_t equals = word.find('=');
    if (equals == std::string_view::npos) return {};
    const std::string_view name = word.substr(0, equals), value = word.substr(equals + 1);
    if (name == "ts") change.at = read_time(value);
    if (name == "type" && value == "item_store") change.what = logged_change::kind::stored;
    if (name == "type" && value == "deleted") change.what = logged_change::kind::removed;
    if (name == "key" && !decode_key(value, change.key)) return {};
    if (name == "status") change.happened = value == "stored";
    if (name == "cfd") change.connection = protocol::parse_strict<std::int32_t>(value).value_or(-1);
    if (name == "skipped") {
      change.what = logged_change::kind::skipped;
      change.count = protocol::parse_strict<std::uint64_t>(value).value_or(0);
    }
  }
  return change;
}

std::string probe_key(std::uint64_t secret, std::size_t number) {
  return "memtandem:" + std::to_string(secret) + ':' + std::to_string(number);
}

std::string probe_request(const std::string& key) {
  return "replace " + key + " 0 0 0\r\n\r\n";
}

void bypass_watch::heard(const logged_change& change, instant now) {
  switch (change.what) {
    case logged_change::kind::skipped:
      skipped_ += change.count;
      return;
    case logged_change::kind::stored:
      if (change.key.starts_with("memtandem:"))
        for (std::size_t i = 0; i < connections_; ++i)
          if (change.key == probe_key(secret_, i)) {
            own_.insert(change.connection);
            return;
          }
      if (change.happened && knows_all() && !own_.contains(change.connection)) ++bypassed_;
      return;
    case logged_change::kind::removed:
      if (removals_.size() < removals_max)
        removals_.push_back({change.key, change.at, now.steady + removal_delay});
      else
        ++skipped_;
      return;
    case logged_change::kind::other:
      return;
  }
}

}  // namespace tandem::backend
