// What has happened to a node, for operators: the last events with their times and reasons, and how
// often each reason made it master. An event is what the log says too, from information on; its
// kind is read from the replication core's words, which are stable (README, "What happens when
// ...").
//
// Bounded: events_max events of text_bytes_max bytes, reasons_max reasons. Any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "common/replication/event.h"

namespace tandem::admin {

enum class event_kind : std::uint8_t {
  role,      // this node's role or term changed, or a switchover began, ended or failed
  sync,      // a copy or a catching up began, goes on or ended; audits
  link,      // the peer came or went
  conflict,  // two masters met, and what became of it
  error,     // anything else from a warning on
  operated,  // somebody told this node something
  other,
};
std::string_view to_string(event_kind kind) noexcept;

// The kind of a line of the log.
event_kind kind_of(replication::effect::level severity, std::string_view text) noexcept;
// What stands in the last parentheses of a line, "" without: "the master is gone".
std::string_view reason_of(std::string_view text) noexcept;

struct event {
  std::uint64_t number = 0;  // from 1 on, without gaps
  wall_time at;
  replication::effect::level severity = replication::effect::level::info;
  event_kind kind = event_kind::other;
  std::string text;
  std::string reason;  // empty: the text is all there is
};

class event_log {
 public:
  static constexpr std::size_t events_max = 200;
  static constexpr std::size_t text_bytes_max = 400;
  static constexpr std::size_t reasons_max = 16;

  // Debug lines are not taken. Bytes that are no printable ASCII become '?', for the text may quote
  // a stranger.
  void add(wall_time at, replication::effect::level severity, std::string_view text);
  void add(wall_time at, replication::effect::level severity, event_kind kind,
           std::string_view text);

  // Those with a number above `after`, oldest first, the last `limit` of them.
  std::vector<event> since(std::uint64_t after, std::size_t limit = events_max) const;
  // How often the node became master, by reason; reasons past the limit are one, "other".
  std::vector<std::pair<std::string, std::uint64_t>> promotions() const;

 private:
  void count_promotion(std::string_view text, const std::string& reason);

  mutable std::mutex mutex_;
  std::deque<event> events_;
  std::uint64_t last_number_ = 0;
  std::vector<std::pair<std::string, std::uint64_t>> promotions_;
};

}  // namespace tandem::admin
