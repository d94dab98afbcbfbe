// A snapshot and the events as JSON: /status, /events and what memtandemctl and the status page are
// made from. Names are stable; new ones may be added. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/admin/event_log.h"
#include "common/admin/health.h"
#include "common/admin/snapshot.h"

namespace tandem::admin {

// One line without its end. `events`: to be told with it.
std::string status_json(const snapshot& s, const std::vector<event>& events);
// {"events": [...]}, oldest first.
std::string events_json(const std::vector<event>& events);
// {"ok": true, "role": "master", "why": "..."}
std::string verdict_json(const verdict& v, const snapshot& s);
// {"ok": false, "error": "..."} or {"ok": true, "answer": "..."}
std::string answer_json(bool ok, std::string_view text);

}  // namespace tandem::admin
