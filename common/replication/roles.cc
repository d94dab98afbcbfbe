// What a node does when it meets, follows, or loses its peer: the table of role.h as code.
#include <algorithm>
#include <utility>

#include "common/replication/core.h"
#include "common/replication/status_rows.h"

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
  took_over_ = role == role_state::master && role_ == role_state::slave && !established_;
  role_ = role;
  term_ = term;
  role_reason_ = reason;
}

void node::core::stand_alone(bool complete, const std::string& reason) {
  join_by_.reset();
  take_over_by_.reset();
  if (own_reign_) {
    take_back();
    return serve(true);
  }
  if (promotion_ && promotion_->hook != 0) return;  // its answer will do
  std::vector<std::uint64_t> orders;
  if (promotion_) orders = std::move(promotion_->orders);
  promotion_.reset();
  const std::uint64_t id = run_hook(hook::pre_promote, next_reign(), reason);
  if (id == 0) return reign(complete, reason);
  promotion_ = promotion{
      .complete = complete, .reason = reason, .hook = id, .again = {}, .orders = std::move(orders)};
}

void node::core::reign(bool complete, const std::string& reason) {
  complete_ = complete;
  own_reign_.reset();
  take_role(role_state::master, next_reign(), reason);
  note(effect::level::info, "replication: listen (term " + std::to_string(term_) + ")");
  serve(true);
  if (!promotion_) return;
  const std::vector<std::uint64_t> orders = std::move(promotion_->orders);
  promotion_.reset();
  for (const std::uint64_t id : orders) answer(id, true, {});
}

// What was given to the peer, and nobody took.
void node::core::take_back() {
  take_role(role_state::master, *own_reign_, "nobody took over");
  own_reign_.reset();
  if (!established_)
    note(effect::level::info, "replication: listen (term " + std::to_string(term_) + ")");
}

void node::core::meet(const session& s, bool known, bool resume) {
  const standing& ours = s.mine.stands;
  const standing& theirs = s.theirs->stands;
  // The verdict of this meeting stands for what was under way.
  own_reign_.reset();
  if (handover_) end_handover(false, "the link was replaced");
  drop_promotion("the peer is there");
  if (ours.in_charge && theirs.in_charge && split_ != split_stage::healing) {
    note(effect::level::warning, "replication: two masters have met, of term " +
                                     std::to_string(ours.term) + " here and " +
                                     std::to_string(theirs.term) + " there");
    split_ = split_stage::healing;
    data_.count_conflicts();
  }
  ++totals_.connects;
  took_over_ = false;
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
  serve(options_.while_syncing != syncing_mode::refuse);
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

void node::core::begin_split() {
  if (split_ != split_stage::none) return;
  split_ = split_stage::apart;
  data_.begin_split();
}

// It is over when each has what the other had when they met.
void node::core::check_split() {
  if (split_ == split_stage::none || !established_ || !sender_.peer_in_sync() ||
      !receiver_.in_sync())
    return;
  const split_report report = data_.end_split();
  if (std::exchange(split_, split_stage::none) != split_stage::healing) return;
  last_split_ = report;
  ++totals_.splits;
  const std::string won = std::to_string(report.won), lost = std::to_string(report.lost);
  note(effect::level::warning, "replication: the split is healed: of keys changed on both sides " +
                                   lost + " were taken from the peer, " + won +
                                   " or more stayed as they were here");
  for (const split_report::sample& sample : report.samples)
    note(effect::level::debug, "replication: changed on both sides, " +
                                   std::string(sample.won ? "stayed: " : "taken from the peer: ") +
                                   one_word(sample.key));
  run_hook(hook::split_heal, term_, "two masters met",
           {{"CONFLICTS_WON", won}, {"CONFLICTS_LOST", lost}});
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
  lose_forwards();
  receiver_.begin();  // lets go of a value half received
  note(effect::level::info, "replication: cleanup complete");
  if (handover_) end_handover(false, "the link was lost");
  begin_split();
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
