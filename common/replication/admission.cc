// The door of the link: from a connection to a peer that has shown who it is.
//
//   dialler                                  acceptor
//   hello, challenge* ------------------->
//                     <------------------- hello, challenge*
//   proof*  ----------------------------->
//                     <------------------- proof*, accept
//   accept  ----------------------------->
//
//   * only with a shared secret. The dialler proves first: who merely connects to a port gets
//     nothing by which to try secrets.
//
// Before that nothing a connection says counts: no role, no term, no identity, and no other
// connection is closed for it. It costs a small buffer, for the time of a handshake.
#include <algorithm>
#include <map>
#include <utility>

#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/replication/core.h"

namespace tandem::replication {

namespace {

// Accepted connections that are not established: more than two nodes ever need.
constexpr std::size_t half_open_max = 16;
// However long a silence of the established link may be.
constexpr milliseconds handshake_time_max{5000};
constexpr std::size_t quoted_bytes_max = 200;
// Lines that strangers can cause again and again: so many at once, and one each so often.
constexpr milliseconds stranger_note_interval{250};
constexpr int stranger_notes_at_once = 16;

// Of a shard, at the most, that a process issued and its peer has not heard of when it dies: those
// that rise one by one because the pair's clock is ahead of its own.
constexpr std::uint64_t unheard_versions_max = std::uint64_t{1} << 18;
// Clocks that are closer make no process repeat what it issued before it was started anew.
constexpr std::uint64_t same_time_ticks = std::uint64_t{1} << 16;

// From where two strangers go on, of whom this one's wall time is `now`: either may be new and have
// had another life, and what it issued then is not to be issued again. A node whose clock is behind
// what the pair has issued would go on from there; it leaves room, and has its peer leave it, so
// that the next newcomer hears of it. Else the clocks tell versions apart, and which of two writes
// was later. The clocks in the hellos would not do: they were read at two moments.
version start_of_versions(const hello& a, const hello& b, wall_time now) {
  const std::uint64_t highest = std::max(a.highest, b.highest).ticks();
  const bool behind = highest > version::ticks_at(now) + same_time_ticks;
  return {highest + (behind ? unheard_versions_max : 0), version::node_mask};
}

std::string host_of(const std::string& peer) {
  return peer.substr(0, peer.rfind(':'));
}

}  // namespace

void node::core::open_session(session_id id, bool dialed, const std::string& peer,
                              const nonce& fresh) {
  CHECK(secrets_.empty() || fresh != nonce{});
  sessions_.try_emplace(id, id, dialed, peer, introduce(), fresh, now_);
  handshake_by_[id] = now_.steady + std::min(options_.dead_after, handshake_time_max);
}

// A newcomer always gets in: the peer must, whatever else stands at the door. The oldest connection
// of the host that has the most of them leaves, and that is not the peer's.
void node::core::make_room(const std::string& newcomer) {
  std::map<std::string, std::size_t> hosts{{host_of(newcomer), 1}};
  std::size_t half_open = 0;
  const auto at_the_door = [](const session& s) {
    return !s.dialed && !s.live() && !(s.theirs && s.mine.authenticates);
  };
  for (const auto& [id, s] : sessions_) {
    if (!at_the_door(s)) continue;
    ++half_open;
    ++hosts[host_of(s.peer)];
  }
  if (half_open < half_open_max) return;
  session* leaves = nullptr;
  for (auto& [id, s] : sessions_) {
    if (!at_the_door(s)) continue;
    if (leaves == nullptr || hosts[host_of(s.peer)] > hosts[host_of(leaves->peer)]) leaves = &s;
  }
  note(effect::level::debug,
       "replication: closing the " + describe(*leaves) + ": too many connections that say nothing");
  effects_.emplace_back(effect::close{leaves->id, true});
  handshake_by_.erase(leaves->id);
  sessions_.erase(leaves->id);
}

bool node::core::on_handshake(session& s, const frame& f) {
  switch (f.type) {
    case frame_type::hello:
      if (!s.their_hello.empty()) break;
      return on_hello(s, f.payload);
    case frame_type::challenge:
      if (s.their_hello.empty() || s.their_nonce || f.payload.size() != s.my_nonce.size()) break;
      std::copy(f.payload.begin(), f.payload.end(), s.their_nonce.emplace().begin());
      if (s.dialed) say_proof(s);
      return true;
    case frame_type::proof:
      if (!s.their_nonce) break;
      return on_proof(s, f.payload);
    case frame_type::refuse: {
      ++totals_.handshakes_refused;
      note_stranger(effect::level::warning,
                    "replication: refused by " + s.peer + ": " + quoted(f.payload));
      close(s, "refused");
      return false;
    }
    default:
      break;
  }
  refuse(s, s.their_hello.empty() ? "a hello was expected" : "a proof was expected",
         effect::level::warning);
  return false;
}

bool node::core::on_hello(session& s, std::string_view payload) {
  auto theirs = decode_hello(payload);
  if (!theirs) {
    refuse(s, "not a hello of this protocol", effect::level::warning);
    return false;
  }
  if (const std::string why = incompatibility(s.mine, *theirs); !why.empty()) {
    refuse(s, why, effect::level::error);
    return false;
  }
  s.their_hello = payload;
  return s.mine.authenticates || admit(s, std::move(*theirs));
}

void node::core::say_proof(session& s) {
  s.say(frame_type::proof,
        prove(secrets_.front(), s.dialed ? link_end::dialer : link_end::acceptor, s.transcript()));
}

bool node::core::on_proof(session& s, std::string_view payload) {
  if (!is_proof(payload, secrets_, s.dialed ? link_end::acceptor : link_end::dialer,
                s.transcript())) {
    refuse(s,
           "the proof is wrong: another shared secret (replication.secret_file), or bytes changed "
           "on the way",
           effect::level::error);
    return false;
  }
  if (!s.dialed) say_proof(s);
  return admit(s, *decode_hello(s.their_hello));
}

// From here on what the hello says counts.
bool node::core::admit(session& s, hello theirs) {
  if (theirs.stands.run_id == options_.run_id) {
    // The configured peer is this very node (it took over the peer's address, say): no news, and no
    // hurry to meet it again.
    if (!std::exchange(met_itself_, true))
      note(effect::level::debug, "replication: " + s.peer + " is this node itself");
    dial_delay_ = options_.reconnect_delay_max;
    close(s, {});
    return false;
  }
  // Whoever answers in the master's place is not the master: it was started anew, and knows
  // nothing.
  if ((take_over_by_ || (promotion_ && role_ == role_state::slave)) &&
      theirs.stands.run_id != peer_run_id_) {
    if (!promotion_) stand_alone(true, "the master was started anew");
    // One that is in charge may be so of nothing, and must not wipe what is here while a hook is
    // asked; any other follows the one that has the data, which needs no hook's consent.
    if (role_ != role_state::master && theirs.stands.in_charge) {
      pledged_ = std::max(pledged_, theirs.stands.term);
      refuse(s, "a promotion is being decided", effect::level::info);
      return false;
    }
  }
  if (const std::string why = objection(s.mine, theirs, options_.clock_skew_max); !why.empty()) {
    refuse(s, why, effect::level::error);
    return false;
  }
  if (outdated(s)) return false;  // never agreed to: the peer would take office on an old word
  s.theirs = std::move(theirs);
  if (is_visit(s)) return receive_visitor(s);
  // From our consent on it may reign in this term, whether or not we hear that it does.
  const bool follows = leads(s.theirs->stands, s.mine.stands);
  if (follows) pledged_ = std::max(pledged_, term_after(s.theirs->stands, s.mine.stands));
  // Without ours it may go alone, in a term that need not be the verdict's: it may have agreed to
  // others before. Of two who would take the same one the follower gives way.
  if (follows || s.theirs->reign > s.mine.reign) pledged_ = std::max(pledged_, s.theirs->reign);
  if (!resolve_duplicates(s)) return false;
  resolve_node_ids(s);
  s.reader.set_payload_max(frame_payload_max);
  version start;
  if (!know_each_other(s)) start = start_of_versions(s.mine, *s.theirs, now_.wall);
  data_.observe(start);
  char bytes[sizeof(std::uint64_t)];
  store_le(bytes, start.word());
  s.say(frame_type::accept, {bytes, sizeof bytes});
  s.accepted_by_us = true;
  return !s.agreed() || establish(s);
}

void node::core::on(const event::rekeyed& e) {
  // Connections that are under way were opened under the hello that told of a secret, or of none.
  if (!e.known.empty() && !secrets_.empty()) secrets_ = e.known;
}

std::string node::core::quoted(std::string_view said) {
  return std::string(said.substr(0, quoted_bytes_max));
}

void node::core::note_stranger(effect::level severity, std::string text) {
  stranger_notes_paid_ = std::max(stranger_notes_paid_, now_.steady);
  if (stranger_notes_paid_ - now_.steady >= stranger_note_interval * stranger_notes_at_once)
    return note(effect::level::debug, std::move(text));
  stranger_notes_paid_ += stranger_note_interval;
  note(severity, std::move(text));
}

}  // namespace tandem::replication
