// What the HTTP port answers to what: paths, methods, the token, content types. A function of the
// request and the node's state, without sockets; proxy/admin_connection.h has those.
//
//   GET, HEAD  /  /status  /events?after=N  /metrics
//   GET, HEAD, OPTIONS  /health /liveness /readiness /primary /replica?lag=64MiB /read-only ...
//                       /lag?below=2s: 200 or 503, the verdict as JSON (health.h has the questions)
//   POST       /switchover /promote /demote /drain /undrain /sync /audit /alone, with the token;
//              `?force`, `?repair` and `?on` or `?off` as the core's commands take them
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "common/admin/event_log.h"
#include "common/admin/snapshot.h"

namespace tandem::admin {

// Borrowed for the call.
struct site_request {
  std::string_view method;
  std::string_view target;         // path and query
  std::string_view authorization;  // the header's value; "" without
};

struct site_reply {
  unsigned status = 200;
  std::string_view type = "application/json";
  std::string body;
  std::string_view allow = {};  // of 405 and OPTIONS
};

// Either a reply or a command to the replication core, whose answer is the reply's.
struct site_answer {
  std::optional<site_reply> reply;
  std::string command;
};

struct site {
  std::function<const snapshot&()> look;  // the node now, or a moment ago
  const event_log* events = nullptr;
  std::string_view page;  // HTML, for /
};

// `token`: with which commands are taken; "": none are.
site_answer answer(const site_request& request, const site& of, std::string_view token);

// The reply to a command that was carried out, or was not.
site_reply command_reply(bool ok, std::string_view text);

}  // namespace tandem::admin
