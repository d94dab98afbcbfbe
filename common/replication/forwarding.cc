// Commands that are executed at the master for clients of the other node, as part of the core
// (forwards.h has the bookkeeping), and which commands those are.
//
// | role                       | writes: both | writes: master                                |
// |----------------------------|--------------|-----------------------------------------------|
// | MASTER                     | here         | here                                          |
// | MASTER, giving its reign   | here         | held until the switchover is decided, then    |
// | away (handover.h)          |              | here or at the peer                           |
// | MASTER by taking over      | here         | here; with writes_on_partition: error refused |
// |                            |              | until it meets a peer, or "alone on"          |
// | SLAVE, SYNCING, INIT       | here         | at the peer                                   |
// | SYNCING with read_through  | at the peer  | at the peer                                   |
// | a guest (guests.cc)        | with a master: at the peer, retrievals too; else here, which |
// |                            | is an error: there is no data                                |
//
// A slave without a link keeps requests until it has one again or is master itself.
#include <utility>

#include "common/replication/core.h"

namespace tandem::replication {

write_place node::core::place_of_writes() const {
  if (role_ == role_state::master) {
    const bool cut_off = took_over_ && !established_ && !alone_;
    if (fenced()) return write_place::peer;
    const bool refuses = options_.writes == writes_mode::master && options_.writes_need_peer;
    return refuses && cut_off ? write_place::refuse : write_place::here;
  }
  const bool through =
      role_ == role_state::syncing && options_.while_syncing == syncing_mode::read_through;
  return options_.writes == writes_mode::master || through ? write_place::peer : write_place::here;
}

void node::core::check_routes() {
  const bool through =
      role_ == role_state::syncing && options_.while_syncing == syncing_mode::read_through;
  const bool as_guest = options_.guest && visit_;
  const effect::routes wanted =
      options_.guest ? effect::routes{as_guest ? write_place::peer : write_place::here, as_guest}
                     : effect::routes{place_of_writes(), through};
  if (wanted == routes_) return;
  routes_ = wanted;
  effects_.emplace_back(wanted);
}

void node::core::on(const event::forward& e) {
  if (role_ == role_state::master && !fenced()) {
    effects_.emplace_back(effect::forward_done{e.id, forward_outcome::elsewhere, {}});
    return;
  }
  const bool nowhere = options_.guest && !visit_;
  if (nowhere || !requests_.add(e.id, e.bytes, now_.steady + options_.ack_timeout))
    effects_.emplace_back(effect::forward_done{e.id, forward_outcome::failed, {}});
}

void node::core::on(const event::executed& e) {
  if (visit_ == e.session) return answer_guest(e);
  if (established_ != e.session) return;  // its asker has been told that the link was lost
  answers_.add(e);
  pump_wanted_ = true;  // an answer goes behind what it tells of
}

// Nobody but this node has what it tells of; with sync that is not enough.
void node::core::answer_guest(const event::executed& e) {
  session& s = *executing();
  if (options_.ack == ack_mode::sync && !alone_ && !e.marks.empty())
    return forward_answers::fail(s, e.id);
  answers_.add({e.session, e.id, e.bytes, {}});
  send_answers(s);
}

void node::core::check_forwards() {
  pass_on_answers();
  forward_requests::results done;
  requests_.expire(now_.steady, done);
  session* const s = executing();
  if (role_ != role_state::master && s != nullptr)
    requests_.send(*s);
  else if ((role_ == role_state::master && !fenced()) || options_.guest)
    requests_.give_back(done);
  for (auto& each : done) effects_.emplace_back(std::move(each));
  if (s == nullptr || fenced()) return;
  while (auto request = answers_.next(s->unsent)) {
    if (role_ == role_state::master)
      effects_.emplace_back(effect::execute{s->id, request->first, std::move(request->second)});
    else
      forward_answers::decline(*s, request->first);
  }
}

const char* node::core::on_forwarded(std::string_view payload) {
  forward_requests::results done;
  const char* const why = requests_.take(payload, done);
  for (auto& each : done) heard_answers_.push_back({data_.applied(), std::move(each)});
  return why;
}

void node::core::pass_on_answers() {
  if (heard_answers_.empty()) return;
  const std::uint64_t kept = data_.kept();
  for (; !heard_answers_.empty() && heard_answers_.front().number < kept;
       heard_answers_.pop_front())
    effects_.emplace_back(std::move(heard_answers_.front().what));
}

void node::core::send_answers(session& s) {
  answers_.send(s, [this](const mutation_mark& m) { return sender_.has_sent(m); });
}

void node::core::lose_forwards() {
  answers_.clear();
  forward_requests::results done;
  requests_.lost(done);
  for (auto& each : done) effects_.emplace_back(std::move(each));
}

}  // namespace tandem::replication
