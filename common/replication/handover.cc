// The mastership changes hands as planned: handover.h's conversation as each side leads it.
#include <algorithm>
#include <utility>

#include "common/replication/core.h"
#include "common/replication/handover.h"

namespace tandem::replication {

// Why this master cannot hand over now; empty: it can.
std::string node::core::handover_obstacle() const {
  if (role_ != role_state::master) return "this node is not the master";
  if (handover_) return "a switchover is under way";
  if (!established_) return "there is no peer";
  if (!sender_.peer_in_sync() || !receiver_.in_sync()) return "the peer is not in sync";
  return {};
}

void node::core::begin_handover(handover_goal goal) {
  pledged_ = next_reign();
  handover_ = handover{.at = stage::preparing,
                       .term = pledged_,
                       .by = now_.steady + options_.handover_timeout,
                       .goal = goal};
  note(effect::level::info,
       "replication: handing over to the peer, term " + std::to_string(handover_->term));
  say(frame_type::handover, handover_step::prepare, handover_->term, {});
}

void node::core::say(frame_type type, handover_step step, std::uint64_t term, std::string reason) {
  if (session* s = established())
    s->say(type, encode(handover_message{step, term, std::move(reason)}));
}

bool node::core::on_handover(session& s, const frame& f) {
  const auto m = decode_handover(f.payload);
  const bool question = m && m->step <= handover_step::cancel;
  const bool taken = m && m->step == handover_step::taken;
  // "I reign" must be the answer to what was given: anything else would be two of one term.
  if (!m || question != (f.type == frame_type::handover) ||
      (taken && !(handover_ && handover_->at == stage::given && handover_->term == m->term))) {
    refuse(s, "unexpected handover frame", effect::level::warning);
    return false;
  }
  if (question)
    on_handover_question(*m);
  else if (taken)
    peer_has_taken();
  else if (m->step == handover_step::ready)
    peer_is_ready(m->term);
  else if (handover_ && handover_->term == m->term)  // else refused, and given up already
    end_handover(false, m->reason);
  return true;
}

void node::core::on_handover_question(const handover_message& m) {
  switch (m.step) {
    case handover_step::ask:
      return asked_to_hand_over();
    case handover_step::prepare:
      return asked_to_prepare(m.term);
    case handover_step::take:
      return told_to_take(m.term);
    default:  // cancel
      if (handover_ && follows()) end_handover(false, m.reason);
  }
}

// --- the slave -----------------------------------------------------------------------------------

// The stages of the side that is to reign.
bool node::core::follows() const {
  return handover_->at == stage::asked || handover_->at == stage::offered ||
         handover_->at == stage::ready;
}

void node::core::ask_for_handover(std::uint64_t id) {
  if (!handover_) {
    handover_ = handover{.at = stage::asked, .by = now_.steady + options_.handover_timeout};
    say(frame_type::handover, handover_step::ask, 0, {});
  }
  handover_->orders.push_back(id);
}

void node::core::asked_to_prepare(std::uint64_t term) {
  std::string why;
  if (role_ != role_state::slave || !complete_) why = "the peer is not a slave in sync";
  if (draining_) why = "the peer is drained";
  if (handover_ && handover_->at != stage::asked) why = "a switchover is under way there";
  if (term < next_reign()) why = "the term is not above those seen there";
  if (!why.empty())
    return say(frame_type::handover_answer, handover_step::refused, term, std::move(why));
  if (!handover_) handover_ = handover{};
  handover_->term = pledged_ = term;
  handover_->at = stage::offered;
  handover_->hook = run_hook(hook::pre_promote, term, "switchover");
  if (handover_->hook == 0) say_ready();
}

void node::core::say_ready() {
  handover_->at = stage::ready;
  handover_->hook = 0;
  say(frame_type::handover_answer, handover_step::ready, handover_->term, {});
}

void node::core::told_to_take(std::uint64_t term) {
  if (!handover_ || handover_->at != stage::ready || handover_->term != term ||
      role_ != role_state::slave)
    return say(frame_type::handover_answer, handover_step::refused, term, "it was not prepared");
  take_role(role_state::master, term, "switchover");
  say(frame_type::handover_answer, handover_step::taken, term, {});
  end_handover(true, {});
}

// --- the master ----------------------------------------------------------------------------------

void node::core::asked_to_hand_over() {
  if (std::string why = handover_obstacle(); !why.empty())
    return say(frame_type::handover_answer, handover_step::refused, 0, std::move(why));
  begin_handover(handover_goal::switchover);
}

// What clients were answered up to now must be there before the peer reigns. With `writes: both`
// both nodes take writes before and after, so none is held up.
void node::core::peer_is_ready(std::uint64_t term) {
  if (!handover_ || handover_->at != stage::preparing || handover_->term != term) return;
  handover_->at = stage::draining;
  handover_->upto = sender_.journal_ends();
  pump_wanted_ = true;
}

bool node::core::all_acknowledged() const {
  return sender_.peer_in_sync() && sender_.acknowledged_up_to(handover_->upto);
}

// With `writes: master` one node at a time decides. Clients' changes are held from here on until it
// is known which one it is, and little is left to be acknowledged by then. They wait for half of
// the time that a command may take; then the switchover is off, and they are executed here.
void node::core::begin_fence() {
  handover_->at = stage::fencing;
  handover_->by = std::min<steady_time>(
      handover_->by, now_.steady + std::chrono::microseconds(options_.ack_timeout) / 2);
  check_routes();
  effects_.emplace_back(effect::fence{handover_->term});
}

bool node::core::fenced() const {
  return handover_ && (handover_->at == stage::fencing || handover_->at == stage::closing);
}

void node::core::on(const event::fenced& e) {
  if (!handover_ || handover_->at != stage::fencing || handover_->term != e.id) return;
  handover_->at = stage::closing;
  handover_->upto = sender_.journal_ends();
  pump_wanted_ = true;
}

void node::core::give_reign() {
  handover_->at = stage::given;
  own_reign_ = term_;
  take_role(role_state::slave, term_, "handing over");
  say(frame_type::handover, handover_step::take, handover_->term, {});
}

void node::core::peer_has_taken() {
  take_role(role_state::slave, handover_->term, "switchover");
  own_reign_.reset();
  end_handover(true, {});
}

// --- both ----------------------------------------------------------------------------------------

void node::core::check_handover() {
  if (!handover_) return;
  if (handover_->at == stage::draining && all_acknowledged()) {
    if (options_.writes == writes_mode::both) return give_reign();
    begin_fence();
  }
  if (handover_->at == stage::closing && all_acknowledged()) return give_reign();
  if (now_.steady < handover_deadline()) return;
  const std::string why = "it took too long";
  if (!follows()) say(frame_type::handover, handover_step::cancel, handover_->term, why);
  end_handover(false, why);
}

// The one that is to reign waits for the other's word, unless it has only asked; and what has been
// given cannot be taken back while the link lives: the answer is on its way.
steady_time node::core::handover_deadline() const {
  if (!handover_ || handover_->at == stage::given || handover_->at == stage::offered ||
      handover_->at == stage::ready)
    return steady_time::max();
  return handover_->by;
}

void node::core::end_handover(bool done, const std::string& why) {
  const handover ended = std::move(*handover_);
  handover_.reset();
  if (!done) {
    note(effect::level::warning, "replication: the switchover is off: " + why);
    // Given and refused: it was never another's.
    if (established_ && own_reign_) take_back();
  }
  if (done && ended.goal == handover_goal::drain) start_draining();
  for (const std::uint64_t id : ended.orders) answer(id, done, done ? std::string() : why);
}

}  // namespace tandem::replication
