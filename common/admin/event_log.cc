#include "common/admin/event_log.h"

#include <algorithm>
#include <array>

namespace tandem::admin {

namespace {

using severity_level = replication::effect::level;

struct word {
  std::string_view part;  // of the text
  event_kind kind;
};

// The first that is found in a text says what it is.
constexpr std::array words = {
    word{"split", event_kind::conflict},
    word{"two masters", event_kind::conflict},
    word{"changed on both sides", event_kind::conflict},
    word{"replication: role ", event_kind::role},
    word{"switchover", event_kind::role},
    word{"handing", event_kind::role},
    word{"drained", event_kind::role},
    word{"replication: listen", event_kind::role},
    word{"marugoto", event_kind::sync},
    word{"catching up", event_kind::sync},
    word{"replication: start", event_kind::sync},
    word{"replication: sent ", event_kind::sync},
    word{"sending", event_kind::sync},
    word{"audit", event_kind::sync},
    word{"in sync", event_kind::sync},
    word{"replication: connect", event_kind::link},
    word{"replication: accept", event_kind::link},
    word{"replication: close", event_kind::link},
    word{"replication: cleanup", event_kind::link},
};

constexpr std::string_view role_prefix = "replication: role ";
constexpr std::string_view became_master = " -> MASTER";

}  // namespace

std::string_view to_string(event_kind kind) noexcept {
  constexpr std::array<std::string_view, 7> names = {"role",  "sync",     "link", "conflict",
                                                     "error", "operated", "other"};
  return names[static_cast<std::size_t>(kind)];
}

event_kind kind_of(severity_level severity, std::string_view text) noexcept {
  for (const word& each : words)
    if (text.find(each.part) != std::string_view::npos) return each.kind;
  return severity >= severity_level::warning ? event_kind::error : event_kind::other;
}

std::string_view reason_of(std::string_view text) noexcept {
  if (!text.ends_with(')')) return {};
  const std::size_t open = text.rfind('(');
  if (open == std::string_view::npos) return {};
  const std::string_view inside = text.substr(open + 1, text.size() - open - 2);
  // "listen (term 3)" and "connect (peer=...)" tell no reason.
  return inside.starts_with("term ") || inside.starts_with("peer=") ? std::string_view() : inside;
}

void event_log::add(wall_time at, severity_level severity, std::string_view text) {
  add(at, severity, kind_of(severity, text), text);
}

void event_log::add(wall_time at, severity_level severity, event_kind kind, std::string_view text) {
  if (severity == severity_level::debug) return;
  event fresh{.number = 0,
              .at = at,
              .severity = severity,
              .kind = kind,
              .text = std::string(text.substr(0, text_bytes_max)),
              .reason = {}};
  for (char& c : fresh.text)
    if (c < ' ' || c == '\x7f') c = '?';
  fresh.reason = reason_of(fresh.text);
  const std::lock_guard guard(mutex_);
  fresh.number = ++last_number_;
  count_promotion(fresh.text, fresh.reason);
  events_.push_back(std::move(fresh));
  if (events_.size() > events_max) events_.pop_front();
}

void event_log::count_promotion(std::string_view text, const std::string& reason) {
  if (!text.starts_with(role_prefix) || text.find(became_master) == std::string_view::npos) return;
  // A master's new term is no new master.
  if (text.substr(role_prefix.size()).starts_with("MASTER")) return;
  const auto named = [&](std::string_view name) {
    return std::find_if(promotions_.begin(), promotions_.end(),
                        [&](const auto& each) { return each.first == name; });
  };
  auto found = named(reason);
  if (found == promotions_.end() && promotions_.size() + 1 >= reasons_max) found = named("other");
  if (found == promotions_.end())
    found = promotions_.emplace(promotions_.end(),
                                promotions_.size() + 1 >= reasons_max ? "other" : reason, 0);
  ++found->second;
}

std::vector<event> event_log::since(std::uint64_t after, std::size_t limit) const {
  std::vector<event> result;
  const std::lock_guard guard(mutex_);
  auto first = std::find_if(events_.begin(), events_.end(),
                            [&](const event& each) { return each.number > after; });
  const auto there = static_cast<std::size_t>(events_.end() - first);
  if (there > limit) first += static_cast<std::ptrdiff_t>(there - limit);
  result.assign(first, events_.end());
  return result;
}

std::vector<std::pair<std::string, std::uint64_t>> event_log::promotions() const {
  const std::lock_guard guard(mutex_);
  return promotions_;
}

}  // namespace tandem::admin
