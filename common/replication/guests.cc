// Guests (node_options::guest): a node that has no data for now lets a master execute its clients'
// commands, over a session in which nothing else is said. Such a visit changes nothing in the pair:
// no role, no term, and nobody counts the guest as a peer.
#include <utility>

#include "common/replication/core.h"

namespace tandem::replication {

namespace {

bool is_guest(const hello& h) {
  return (h.features_required & feature_guests) != 0;
}

}  // namespace

void node::core::live_as_guest() {
  serve(true);
  if (!options_.reigned) return;
  run_hook(hook::post_demote, *options_.reigned, "the backend is gone");
  if (options_.close_on_demotion) effects_.emplace_back(effect::close_clients{});
}

bool node::core::is_visit(const session& s) {
  return is_guest(s.mine) || is_guest(*s.theirs);
}

// A guest goes to a master, who has its data. False: it does not take place.
bool node::core::receive_visitor(session& s) {
  const hello& host = is_guest(s.mine) ? *s.theirs : s.mine;
  if (is_guest(host) || !host.stands.in_charge || (options_.guest && !visits())) {
    close(s, "a guest needs a master");
    return false;
  }
  if (!resolve_duplicates(s)) return false;
  s.reader.set_payload_max(frame_payload_max);
  const std::string no_start(sizeof(std::uint64_t), '\0');
  s.say(frame_type::accept, no_start);
  s.accepted_by_us = true;
  return !s.agreed() || begin_visit(s);
}

bool node::core::begin_visit(session& s) {
  if (outdated(s)) return false;
  if (visit_) close(sessions_.at(*visit_), "replaced by a newer connection");
  s.visit = true;
  visit_ = s.id;
  handshake_by_.erase(s.id);
  dial_delay_ = options_.reconnect_delay_min;
  note(effect::level::info, options_.guest ? "replication: " + s.peer +
                                                 " executes commands until there is data here again"
                                           : "replication: commands of the clients of " + s.peer +
                                                 ", which has no data for now, are executed here");
  return true;
}

void node::core::end_visit() {
  note(effect::level::info, "replication: no commands between the nodes any more");
  visit_.reset();
  schedule_dial(redial_delay);
  lose_forwards();
}

// Who is master no more sends its guest away.
void node::core::check_visit() {
  if (visit_ && !options_.guest && role_ != role_state::master)
    close(sessions_.at(*visit_), "master no more");
}

}  // namespace tandem::replication
