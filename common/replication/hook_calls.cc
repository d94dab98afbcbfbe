// When the operator's hooks are called, and what their answers mean.
#include <algorithm>
#include <utility>

#include "common/replication/core.h"

namespace tandem::replication {

std::string_view to_string(hook which) noexcept {
  switch (which) {
    case hook::pre_promote:
      return "pre_promote";
    case hook::post_promote:
      return "post_promote";
    case hook::post_demote:
      return "post_demote";
    case hook::split_heal:
      return "split_heal";
  }
  return "?";
}

std::uint64_t node::core::run_hook(hook which, std::uint64_t term, const std::string& reason,
                                   hook_variables more) {
  const hook_set& set = options_.hooks;
  const bool wanted = which == hook::pre_promote    ? set.pre_promote
                      : which == hook::post_promote ? set.post_promote
                      : which == hook::post_demote  ? set.post_demote
                                                    : set.split_heal;
  if (!wanted) return 0;
  hook_variables variables = {{"HOOK", std::string(to_string(which))},
                              {"ROLE", std::string(to_string(role_))},
                              {"TERM", std::to_string(term)},
                              {"PEER", peer_name_.empty() ? options_.peer : peer_name_},
                              {"REASON", reason}};
  variables.insert(variables.end(), more.begin(), more.end());
  effects_.emplace_back(effect::run_hook{++last_hook_, which, std::move(variables)});
  return last_hook_;
}

void node::core::on(const event::hook_done& e) {
  if (e.id == 0) return;  // nobody's
  const std::string vetoed = "pre_promote vetoed: " + e.how;
  if (promotion_ && promotion_->hook == e.id) {
    if (e.ok) return reign(promotion_->complete, promotion_->reason);
    note(effect::level::warning, "replication: " + vetoed + "; asking again in " +
                                     std::to_string(options_.reconnect_delay_max.count()) + " ms");
    promotion_->hook = 0;
    promotion_->again = now_.steady + options_.reconnect_delay_max;
    for (const std::uint64_t id : std::exchange(promotion_->orders, {})) answer(id, false, vetoed);
  } else if (handover_ && handover_->hook == e.id) {
    if (e.ok) return say_ready();
    say(frame_type::handover_answer, handover_step::refused, handover_->term, vetoed);
    end_handover(false, vetoed);
  }
}

void node::core::check_promotion() {
  if (promotion_ && promotion_->hook == 0 && now_.steady >= promotion_->again)
    stand_alone(promotion_->complete, std::string(promotion_->reason));
}

void node::core::drop_promotion(const std::string& why) {
  if (!promotion_) return;
  const std::vector<std::uint64_t> orders = std::move(promotion_->orders);
  promotion_.reset();
  for (const std::uint64_t id : orders) answer(id, false, why);
}

// At the end of a step: what was so in its midst only is not told.
void node::core::tell_role() {
  const bool master = role_ == role_state::master;
  if (master == told_master_ || own_reign_) return;
  told_master_ = master;
  run_hook(master ? hook::post_promote : hook::post_demote, term_, role_reason_);
  // Of a node that is to be filled they are closed anyway.
  if (role_ == role_state::slave && options_.close_on_demotion) {
    note(effect::level::info, "replication: closing the clients of a master that was");
    effects_.emplace_back(effect::close_clients{});
  }
}

}  // namespace tandem::replication
