// What a linked node keeps an eye on: how far a scan is, whether the clocks agree, and whether both
// nodes hold the same.
#include <algorithm>
#include <utility>

#include "common/base/endian.h"
#include "common/replication/core.h"

namespace tandem::replication {

namespace {
constexpr std::chrono::minutes audit_limit{10};  // for the answer to a command; the audit goes on
}  // namespace

// A scan that takes long says how far it is.
void node::core::report_progress() {
  sender_.look_at_progress(now_);
  const sync_progress& p = sender_.progress();
  if (p.running() && now_.steady >= next_report_) {
    next_report_ = now_.steady + report_interval;
    reported_ = true;
    note(effect::level::info,
         "replication: sending to " + peer_name_ + ": " + sync_progress::describe(p.look()));
  } else if (!p.running() && std::exchange(reported_, false)) {
    note(effect::level::info, "replication: sent " + std::to_string(p.look().records) +
                                  " records to " + peer_name_ + " in " +
                                  std::to_string(p.took().count()) + " ms");
  }
}

// A pong is the ping's bytes, which are its sender's steady clock, and our wall clock.
void node::core::pong(session& s, std::string_view ping) const {
  char bytes[2 * sizeof(std::int64_t)];
  ping.copy(bytes, sizeof(std::int64_t));
  store_le(bytes + sizeof(std::int64_t),
           static_cast<std::int64_t>(now_.wall.time_since_epoch().count()));
  s.say(frame_type::pong, {bytes, sizeof bytes});
}

void node::core::learn_clock(std::string_view pong) {
  if (pong.size() != 2 * sizeof(std::int64_t)) return;
  using micros = std::chrono::microseconds;
  peer_clock_.learn(steady_time(micros(load_le<std::int64_t>(pong.data()))),
                    wall_time(micros(load_le<std::int64_t>(pong.data() + sizeof(std::int64_t)))),
                    now_);
}

// The clocks agreed when the nodes met; one of them may have been set, or run away, since.
void node::core::check_clocks() {
  session* const s = established();
  const auto offset = peer_clock_.offset();
  if (s == nullptr || !offset) return;
  // Wrong by half the round trip at the most, which a slow reader may make long.
  const auto doubt = static_cast<std::uint64_t>(peer_clock_.round_trip().count()) / 2;
  const auto word = static_cast<std::uint64_t>(offset->count());
  const std::uint64_t measured = std::min(word, std::uint64_t{0} - word);
  const std::uint64_t apart = measured - std::min(measured, doubt);
  const auto micros = [](milliseconds m) {
    return static_cast<std::uint64_t>(std::chrono::microseconds(m).count());
  };
  if (apart > micros(options_.clock_skew_max)) {
    refuse(*s, clocks_apart(apart), effect::level::error);
    return;
  }
  const std::uint64_t warn = micros(options_.clock_skew_warn);
  if (warn == 0) return;
  if (apart >= warn && !std::exchange(warned_of_clock_, true))
    note(effect::level::warning,
         "replication: the peer's clock is " + std::to_string(apart / 1000) + " ms " +
             (offset->count() > 0 ? "ahead of" : "behind") +
             " ours: of two writes to a key at once the wrong one may win; run NTP on both nodes");
  else if (apart < warn / 2 && std::exchange(warned_of_clock_, false))
    note(effect::level::info, "replication: the clocks agree again");
}

// --- audits --------------------------------------------------------------------------------------

// Rounded up. Not measured yet: what it may be at the most.
std::chrono::seconds node::core::clocks_apart_by() const {
  const std::chrono::microseconds most = options_.clock_skew_max;
  const auto apart = std::clamp(peer_clock_.offset().value_or(most), -most, most);
  return std::chrono::ceil<std::chrono::seconds>(std::chrono::abs(apart));
}

auditor::speaker node::core::to_peer() {
  return [this](frame_type type, std::string_view payload) {
    if (session* const s = established()) s->say(type, payload);
  };
}

bool node::core::on_audit(session& s, const frame& f) {
  if (const char* why = auditor_.take(f, now_, to_peer())) {
    refuse(s, why, effect::level::warning);
    return false;
  }
  return true;
}

void node::core::order_audit(const order& o) {
  const bool repair = o.words.size() > 1;
  if (repair && o.words[1] != "repair") return answer(o.id, false, "not an argument of audit");
  if (!established_ || !sender_.peer_in_sync())
    return answer(o.id, false, "there is no peer in sync to compare with");
  if (!auditor_.start(repair, clocks_apart_by(), now_, to_peer()))
    return answer(o.id, false, "an audit is under way");
  audit_orders_.push_back(o.id);
  answer_later(o.id, audit_limit);
}

// What was under way has no result: the link is gone.
void node::core::end_audit() {
  auditor_.reset();
  for (const std::uint64_t id : std::exchange(audit_orders_, {}))
    answer(id, false, "the link to the peer was lost");
}

void node::core::check_audit() {
  if (!established_) return;
  if (options_.audit_interval.count() > 0 && role_ == role_state::master) {
    if (!next_audit_) next_audit_ = now_.steady + options_.audit_interval;
    if (now_.steady >= *next_audit_ && sender_.peer_in_sync()) {
      next_audit_.reset();
      (void)auditor_.start(false, clocks_apart_by(), now_, to_peer());
    }
  }
  if (auditor_.busy() || auditor_.draining()) auditor_.step(now_, to_peer());
  auto report = auditor_.take_report();
  if (!report) return;
  ++audits_;
  last_audit_ = *std::move(report);
  const audit_report& r = last_audit_;
  note(r.differing > 0 ? effect::level::warning : effect::level::info,
       "replication: audit: " + std::to_string(r.compared) + " keys compared in " +
           std::to_string(r.milliseconds) + " ms, " + std::to_string(r.differing) + " differ, " +
           std::to_string(r.repaired) + " sent again, " + std::to_string(r.dropped) +
           " dropped by one node");
  std::string text = "compared " + std::to_string(r.compared) + "\ndiffering " +
                     std::to_string(r.differing) + "\nrepaired " + std::to_string(r.repaired) +
                     "\ndropped " + std::to_string(r.dropped) + "\nmilliseconds " +
                     std::to_string(r.milliseconds) + "\n";
  for (const std::string& key : r.samples) text += "sample " + key + "\n";
  for (const std::uint64_t id : std::exchange(audit_orders_, {})) answer(id, true, text);
}

}  // namespace tandem::replication
