// The commands that move the mastership about, and clients away (commands.cc has the rest).
#include <utility>

#include "common/replication/core.h"

namespace tandem::replication {

// The only optional word there is.
bool node::core::forced(const order& o) {
  return o.words.size() > 1;
}

void node::core::hand_over_for(const order& o, handover_goal goal) {
  if (std::string why = handover_obstacle(); !why.empty())
    return answer(o.id, false, std::move(why));
  begin_handover(goal);
  handover_->orders.push_back(o.id);
  answer_later(o.id, handover_answer_limit());
}

// A switchover that can be given up no more ends when the link does.
milliseconds node::core::handover_answer_limit() const {
  return options_.handover_timeout + 3 * options_.dead_after;
}

void node::core::order_switchover(const order& o) {
  if (role_ == role_state::master) return hand_over_for(o, handover_goal::switchover);
  if (role_ != role_state::slave) return answer(o.id, false, "this node is not filled yet");
  if (!established_)
    return answer(o.id, false, "there is no link to the master: promote makes this node master");
  if (draining_) return answer(o.id, false, "this node is drained: undrain first");
  if (handover_ && !follows())
    return answer(o.id, false, "this node is just giving the mastership away");
  answer_later(o.id, handover_answer_limit());
  ask_for_handover(o.id);
}

void node::core::order_promote(const order& o) {
  if (role_ == role_state::master) return answer(o.id, true, "this node is the master already\n");
  if (options_.guest) return answer(o.id, false, "this node has no data: its backend is gone");
  if (role_ == role_state::slave && established_) return order_switchover(o);
  if (role_ != role_state::slave && !forced(o))
    return answer(o.id, false, "this node is not filled yet: promote force serves what it has");
  const bool complete = role_ == role_state::slave;
  if (forced(o)) {
    // The filling ends here. A master in reach will call again, and win: it has all the data.
    if (established_) close(*established(), "promoted by force");
    reign(complete, "promoted by force");
    return answer(o.id, true, {});
  }
  answer_later(o.id, handover_answer_limit());
  stand_alone(complete, "promoted by an operator");
  if (promotion_)
    promotion_->orders.push_back(o.id);
  else
    answer(o.id, true, {});
}

void node::core::order_demote(const order& o) {
  if (role_ == role_state::slave) return answer(o.id, true, "this node is a slave already\n");
  hand_over_for(o, handover_goal::switchover);
}

void node::core::order_drain(const order& o) {
  if (draining_) return answer(o.id, true, "this node is drained already\n");
  if (handover_) return answer(o.id, false, "a switchover is under way");
  if (role_ == role_state::master) {
    const std::string why = handover_obstacle();
    if (why.empty()) return hand_over_for(o, handover_goal::drain);
    if (!forced(o)) return answer(o.id, false, why + ": drain force leaves clients without a node");
  }
  start_draining();
  answer(o.id, true, {});
}

void node::core::order_undrain(const order& o) {
  if (std::exchange(draining_, false)) {
    note(effect::level::info, "replication: undrained: clients are taken again");
    effects_.emplace_back(effect::drain{false});
  }
  answer(o.id, true, {});
}

void node::core::start_draining() {
  draining_ = true;
  note(effect::level::info, "replication: drained: no new clients are taken");
  effects_.emplace_back(effect::drain{true});
}

}  // namespace tandem::replication
