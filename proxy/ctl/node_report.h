// A node's `report` (common/admin/status_json.h) as memtandemctl reads it.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/ctl/node_desk.h"

namespace tandem::ctl {

class node_report {
 public:
  explicit node_report(boost::json::value what) : value_(std::move(what)) {}

  // Nothing: it could not be had, and `why` says the reason.
  static std::optional<node_report> fetch(node_desk& node, desk_answer& why);

  const boost::json::value& json() const noexcept { return value_; }
  // By a path like "/replication/term"; 0 or "" where it is not there.
  double number(std::string_view path) const;
  std::string text(std::string_view path) const;
  bool is(std::string_view path) const;

 private:
  boost::json::value value_;
};

// The status for people, of several lines.
std::string status_text(const node_report& node);
// One line for one element of /events.
std::string event_text(const boost::json::value& event);

}  // namespace tandem::ctl
