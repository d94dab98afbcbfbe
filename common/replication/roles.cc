// What a node does when it meets, follows, or loses its peer: the table of role.h as code.
#include <utility>

#include "common/replication/core.h"

namespace tandem::replication {

namespace {
constexpr int refilled_wait_factor = 10;  // of join_timeout, for a node whose filling broke off
}  // namespace

void node::core::note(effect::level severity, std::string text) {
  effects_.emplace_back(effect::note{severity, std::move(text)});
}

void node::core::serve(bool open) {
  if (serving_ == open) return;
  serving_ = open;
  effects_.emplace_back(effect::serve{open});
}

void node::core::take_role(role_state role, std::uint64_t term, const std::string& reason) {
  join_by_.reset();
  take_over_by_.reset();
  if (role == role_ && term == term_) return;
  note(effect::level::info, "replication: role " + std::string(to_string(role_)) + " -> " +
                                std::string(to_string(role)) + ", term " + std::to_string(term) +
                                " (" + reason + ")");
  if (role == role_state::master && role_ != role_state::master) ++totals_.promotions;
  role_ = role;
  term_ = term;
}

void node::core::stand_alone(bool complete, const std::string& reason) {
  complete_ = complete;
  take_role(role_state::master, term_ + 1, reason);
  note(effect::level::info, "replication: listen (term " + std::to_string(term_) + ")");
  serve(true);
}

void node::core::meet(const session& s, bool known, bool resume) {
  const standing& ours = s.mine.stands;
  const standing& theirs = s.theirs->stands;
  ++totals_.connects;
  note(effect::level::info, s.dialed ? "replication: connect (peer=" + s.peer + ")"
                                     : "replication: accept (peer=" + s.peer + ")");
  peer_run_id_ = theirs.run_id;
  const bool expands = (s.theirs->features & feature_of(options_.compression)) != 0;
  sender_.begin(known, expands ? options_.compression : compression::none, now_);
  ++(sender_.scans_all() ? totals_.full_syncs_sent
     : sender_.scans()   ? totals_.partial_syncs_sent
                         : totals_.resumes_sent);
  next_report_ = now_.steady + report_interval;
  reported_ = false;
  peer_clock_ = {};
  end_audit();
  receiver_.begin();
  pump_wanted_ = true;
  window_full_ = false;
  next_batch_ = now_.steady;
  if (leads(ours, theirs)) {
    take_role(role_state::master, term_after(ours, theirs),
              ours.in_charge ? "in charge" : "leads the peer");
    serve(true);
    return;
  }
  if (role_ == role_state::slave && resume) {
    // Nothing but a lag separates it from its master: its clients need not notice.
    take_role(role_state::slave, term_after(theirs, ours), "the peer leads");
    return;
  }
  serve(false);
  complete_ = false;
  take_role(role_state::syncing, term_after(theirs, ours), "the peer leads");
  note(effect::level::info,
       resume ? "replication: catching up from the journal" : "replication: marugoto copying");
}

void node::core::filled() {
  complete_ = true;
  take_role(role_state::slave, term_, "in sync");
  note(effect::level::info, "replication: start");
  serve(true);
}

void node::core::lost(loss how, const std::string& reason) {
  established_.reset();
  ++totals_.disconnects;
  totals_.last_disconnect = reason;
  lost_at_ = now_;
  note(effect::level::info, "replication: close (" + reason + ")");
  note(effect::level::info, "replication: cleanup start");
  sender_.end();
  end_audit();
  receiver_.begin();  // lets go of a value half received
  note(effect::level::info, "replication: cleanup complete");
  switch (role_) {
    case role_state::slave:
      if (how == loss::silence)
        stand_alone(true, "the master is silent");
      else
        take_over_by_ = now_.steady + options_.takeover_grace;
      break;
    case role_state::master:
      note(effect::level::info, "replication: listen (term " + std::to_string(term_) + ")");
      break;
    case role_state::syncing:
      take_role(role_state::init, term_, "the master went away before the copy was complete");
      join_by_ = now_.steady + options_.join_timeout * refilled_wait_factor;
      break;
    case role_state::init:
      break;
  }
}

}  // namespace tandem::replication
