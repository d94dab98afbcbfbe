// From an admitted peer to an established session: duplicates, identities, the verdict.
#include <algorithm>
#include <utility>

#include "common/base/endian.h"
#include "common/replication/core.h"

namespace tandem::replication {

standing node::core::stands() const {
  standing s;
  s.in_charge = role_ == role_state::master;
  s.complete = complete_;
  s.has_data = !data_.empty();
  s.term = term_;
  s.node_id = node_id_;
  s.run_id = options_.run_id;
  return s;
}

hello node::core::introduce() const {
  hello h;
  h.stands = stands();
  h.reign = h.stands.in_charge ? term_ : next_reign();
  h.features = features_of_compression | feature_guests;
  if (options_.guest) h.features_required = feature_guests;
  h.known_run_id = peer_run_id_;
  h.resumes = sender_.resumable();
  h.node_id_fixed = options_.node_id.has_value();
  h.authenticates = !secrets_.empty();
  h.clock = now_.wall;
  h.highest = data_.highest();
  h.cluster = options_.cluster;
  return h;
}

bool node::core::on_frame(session& s, const frame& f) {
  if (!s.theirs) return on_handshake(s, f);
  switch (f.type) {
    case frame_type::accept: {
      if (f.payload.size() != sizeof(std::uint64_t)) break;
      const version start(load_le<std::uint64_t>(f.payload.data()));
      if (!start.plausible()) break;
      data_.observe(start);
      s.accepted_by_peer = true;
      return s.live() || !s.agreed() || establish(s);
    }
    case frame_type::refuse:
      note(s.live() ? effect::level::warning : effect::level::info,
           "replication: refused by " + s.peer + ": " + quoted(f.payload));
      close(s, "refused: " + quoted(f.payload));
      return false;
    case frame_type::ping:
      if (f.payload.size() != sizeof(std::int64_t)) break;
      pong(s, f.payload);
      return true;
    case frame_type::pong:
      s.answered(now_);
      if (s.established) learn_clock(f.payload);
      return true;
    case frame_type::ack:
      if (!s.established || f.payload.size() != sizeof(std::uint64_t) ||
          !sender_.acknowledged(load_le<std::uint64_t>(f.payload.data()), now_))
        break;
      s.answered(now_);
      window_full_ = false;
      return true;
    case frame_type::handover:
    case frame_type::handover_answer:
      if (!s.established) break;
      return on_handover(s, f);
    case frame_type::audit:
    case frame_type::audit_answer:
      if (!s.established) break;
      return on_audit(s, f);
    case frame_type::forward:
    case frame_type::forwarded: {
      if (!s.live()) break;
      const char* const why =
          f.type == frame_type::forward ? answers_.take(f.payload) : on_forwarded(f.payload);
      if (why == nullptr) return true;
      refuse(s, why, effect::level::warning);
      return false;
    }
    default:
      if (!s.established) break;
      return on_data(s, f);
  }
  refuse(s, "unexpected frame", effect::level::warning);
  return false;
}

bool node::core::on_data(session& s, const frame& f) {
  // A peer whose data waits for our acknowledgements ends the session by itself if they do not
  // arrive. Its pongs lie behind the data, however slowly that is read here.
  s.answered(now_);
  if (f.type == frame_type::compressed) {
    const auto whole = expander_.expand(f);
    if (whole) return on_data(s, *whole);
    refuse(s, "malformed compressed frame", effect::level::warning);
    return false;
  }
  const std::uint64_t mutations = data_.mutations();
  if (const char* why = receiver_.take(f, now_)) {
    refuse(s, why, effect::level::warning);
    return false;
  }
  // What was refused, or evicted to make room, may have been journaled as news for the peer.
  if (data_.mutations() != mutations) pump_wanted_ = true;
  if (receiver_.inventory_wanted()) {
    sender_.tell_inventory();
    pump_wanted_ = true;
  }
  if (const auto times = receiver_.inventories_heard()) {
    sender_.heard_inventory(*times);
    pump_wanted_ = true;
  }
  return true;
}

// Of two connections between the same two processes, both sides must keep the same one: of two that
// one side dialled the newer (it has given up the older), else the one that the lower run id
// dialled.
bool node::core::prefer(const session& a, const session& b) const {
  if (a.dialed == b.dialed) return a.id > b.id;
  const bool we_are_lower = options_.run_id < a.theirs->stands.run_id;
  return a.dialed == we_are_lower;
}

bool node::core::resolve_duplicates(session& s) {
  std::vector<session_id> worse;
  for (auto& [id, other] : sessions_) {
    if (id == s.id || !other.theirs) continue;
    if (other.theirs->stands.run_id != s.theirs->stands.run_id) {
      if (!other.established) continue;
      refuse(s, "already connected to another node", effect::level::info);
      return false;
    }
    if (prefer(other, s)) {
      close(s, "a duplicate");
      return false;
    }
    // An established one works until the better one is established in its place.
    if (!other.established) worse.push_back(id);
  }
  for (const session_id id : worse) close(sessions_.at(id), "a duplicate");
  return true;
}

// Versions carry the node id, so the two must differ. Both sides see the clash in the hellos and
// agree on who gives way: the one that is free to and, if both are, the one that does not lead.
void node::core::resolve_node_ids(const session& s) {
  const hello& theirs = *s.theirs;
  if (s.mine.stands.node_id != theirs.stands.node_id || s.mine.node_id_fixed) return;
  if (!theirs.node_id_fixed && leads(s.mine.stands, theirs.stands)) return;
  node_id_ = (theirs.stands.node_id + 1) & version::node_mask;
  data_.set_node_id(node_id_, now_);
  note(effect::level::debug, "replication: node id " + std::to_string(node_id_) +
                                 " from now on: the peer has " +
                                 std::to_string(theirs.stands.node_id));
}

// The peer draws its verdict from what we said; if that has ceased to be true, it is said anew in
// another session.
bool node::core::outdated(session& s) {
  const standing current = stands();
  const standing& said = s.mine.stands;
  if (current.in_charge == said.in_charge && current.term == said.term &&
      current.complete == said.complete && s.mine.known_run_id == peer_run_id_)
    return false;
  say_anew(s);
  return true;
}

void node::core::say_anew(session& s) {
  close(s, "things changed during the handshake");
  schedule_dial(milliseconds(0));
}

bool node::core::know_each_other(const session& s) {
  return s.mine.known_run_id == s.theirs->stands.run_id &&
         s.theirs->known_run_id == s.mine.stands.run_id;
}

bool node::core::establish(session& s) {
  if (is_visit(s)) return begin_visit(s);
  if (visit_) close(sessions_.at(*visit_), "the guest has become a peer");
  const bool known = know_each_other(s);
  const bool both_resume = known && s.mine.resumes && s.theirs->resumes;
  if (outdated(s)) return false;
  if (both_resume && !sender_.resumable()) {
    say_anew(s);
    return false;
  }
  if (session* old = established()) {
    // Replaced, not lost: the role follows from the new meeting.
    sender_.end();
    lose_forwards();
    established_.reset();
    old->established = false;
    close(*old, "replaced by a newer connection");
  }
  s.established = true;
  established_ = s.id;
  handshake_by_.erase(s.id);
  dial_delay_ = options_.reconnect_delay_min;
  peer_name_ = s.peer;
  meet(s, known, both_resume);
  return true;
}

void node::core::refuse(session& s, const std::string& reason, effect::level severity) {
  std::string line = "replication: refusing the " + describe(s) + ": " + reason;
  if (s.theirs) {
    note(severity, std::move(line));
  } else {
    ++totals_.handshakes_refused;
    note_stranger(severity, std::move(line));
  }
  s.say(frame_type::refuse, reason);
  close(s, reason);
}

void node::core::close(session& s, const std::string& reason, loss how) {
  if (!s.out.empty()) effects_.emplace_back(effect::send{s.id, std::exchange(s.out, {})});
  effects_.emplace_back(effect::close{s.id});
  const bool was_link = established_ == s.id;
  if (!was_link && !reason.empty())
    note(effect::level::debug, "replication: closing the " + describe(s) + ": " + reason);
  if (was_link)
    schedule_dial(redial_delay);
  else if (s.dialed)
    back_off();
  if (visit_ == s.id) end_visit();
  handshake_by_.erase(s.id);
  sessions_.erase(s.id);  // `s` is gone from here on
  if (was_link) lost(how, reason);
}

void node::core::schedule_dial(milliseconds delay) {
  // +-25 %, so that two nodes that dial each other fall out of step.
  const auto quarter = static_cast<std::uint64_t>(std::chrono::microseconds(delay).count()) / 4;
  std::chrono::microseconds wait = delay;
  if (quarter > 0)
    wait += std::chrono::microseconds(static_cast<std::int64_t>(random_.below(2 * quarter)) -
                                      static_cast<std::int64_t>(quarter));
  next_dial_ = now_.steady + wait;
}

void node::core::back_off() {
  schedule_dial(dial_delay_);
  dial_delay_ = std::min(dial_delay_ * 2, options_.reconnect_delay_max);
}

}  // namespace tandem::replication
