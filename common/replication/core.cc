#include "common/replication/core.h"

#include <algorithm>
#include <utility>

#include "common/base/endian.h"

namespace tandem::replication {

namespace {
// Somebody relies on what an acknowledged or sent position stands for.
bool exact(const node_options& options) {
  return options.ack != ack_mode::async || options.writes == writes_mode::master ||
         options.while_syncing == syncing_mode::read_through;
}
}  // namespace

// --- node: the public face ---------------------------------------------------------------------

node::node(const node_options& options, data_port& data, std::uint64_t seed)
    : core_(std::make_unique<core>(options, data, seed)) {}
node::~node() = default;
std::vector<any_effect> node::step(const any_event& what, instant now) {
  return core_->step(what, now);
}
steady_time node::deadline() const {
  return core_->deadline();
}
bool node::waits_for_mutation() const {
  return core_->waits_for_mutation();
}
node_status node::status(instant now) const {
  return core_->status(now);
}

// --- stepping ------------------------------------------------------------------------------------

node::core::core(const node_options& options, data_port& data, std::uint64_t seed)
    : options_(options),
      data_(data),
      random_(seed),
      secrets_(options.known_secrets),
      node_id_(
          options.node_id.value_or(static_cast<unsigned>(options.run_id & version::node_mask))),
      dial_delay_(options.reconnect_delay_min),
      sender_({.frame_bytes = options.frame_bytes,
               .window_bytes = options.window_bytes,
               .window_delay = options.dead_after / 4,
               .sync_rate = options.sync_rate,
               .exact = exact(options)},
              data),
      receiver_(data),
      auditor_(data, sender_) {}

std::vector<any_effect> node::core::step(const any_event& what, instant now) {
  now_ = now;
  // After a pause of our own (a stopped process, a starved machine) the silence says nothing about
  // the peer: what it sent meanwhile is still to be read.
  if (now.steady - last_step_ > options_.dead_after / 2)
    for (auto& [id, s] : sessions_) {
      s.heard(now);
      s.answered(now);
    }
  last_step_ = now.steady;
  std::visit([this](const auto& e) { on(e); }, what);
  check_sessions();
  check_alone();
  check_visit();
  check_promotion();
  check_dial();
  upkeep();
  check_audit();
  check_replies();
  check_handover();  // before what depends on the role: what was held goes out behind `take`
  check_routes();
  check_forwards();
  pump();
  check_split();
  check_orders();
  tell_role();
  hand_over();
  return std::exchange(effects_, {});
}

void node::core::on(const event::started&) {
  data_.set_node_id(node_id_, now_);
  next_dial_ = now_.steady;
  next_upkeep_ = now_.steady;
  if (options_.guest) return live_as_guest();
  begin_split();
  if (options_.peer.empty())
    stand_alone(true, "no peer configured");
  else
    join_by_ = now_.steady + options_.join_timeout;
}

void node::core::on(const event::tick&) {}

void node::core::on(const event::listening&) {
  note(effect::level::debug, "replication: the link's port is open");
}

void node::core::on(const event::dialed& e) {
  if (dialing_ != e.session) return;
  dialing_.reset();
  last_dial_failure_.clear();
  open_session(e.session, true, options_.peer, e.fresh);
}

void node::core::on(const event::dial_failed& e) {
  if (dialing_ != e.session) return;
  dialing_.reset();
  if (e.reason != last_dial_failure_)
    note(effect::level::info,
         "replication: can't connect to " + options_.peer + ": " + e.reason + "; trying on");
  last_dial_failure_ = e.reason;
  back_off();
  if (take_over_by_) take_over_by_ = now_.steady;
}

void node::core::on(const event::accepted& e) {
  make_room(e.from);
  open_session(e.session, false, e.from, e.fresh);
}

void node::core::on(const event::received& e) {
  const auto found = sessions_.find(e.session);
  if (found == sessions_.end()) return;
  session& s = found->second;
  s.heard(now_);
  if (established_ == s.id) totals_.bytes_received += e.bytes.size();
  s.reader.feed(e.bytes);
  for (;;) {
    frame f{};
    switch (s.reader.next(f)) {
      case frame_reader::status::need_more:
        if (established_ == s.id) acknowledge(s);
        return;
      case frame_reader::status::error:
        refuse(s, s.reader.reason(), effect::level::warning);
        return;
      case frame_reader::status::frame:
        if (!on_frame(s, f)) return;
    }
  }
}

void node::core::on(const event::sent& e) {
  const auto found = sessions_.find(e.session);
  if (found == sessions_.end()) return;
  session& s = found->second;
  s.unsent -= std::min(s.unsent, e.bytes);
}

void node::core::on(const event::closed& e) {
  const auto found = sessions_.find(e.session);
  if (found == sessions_.end()) return;
  const session& s = found->second;
  const bool was_link = established_ == s.id;
  if (e.untrusted && !was_link) {
    ++totals_.handshakes_refused;
    note_stranger(effect::level::warning, "replication: " + describe(s) + " closed: " + e.reason);
  } else if (!was_link) {
    note(effect::level::debug, "replication: " + describe(s) + " closed: " + e.reason);
  }
  if (was_link)
    schedule_dial(redial_delay);
  else if (s.dialed)
    back_off();
  if (visit_ == s.id) end_visit();
  handshake_by_.erase(e.session);
  sessions_.erase(found);
  if (was_link) lost(loss::closed, e.reason);
}

void node::core::on(const event::mutated&) {
  pump_wanted_ = true;
  if (session* const s = established()) acknowledge(*s);
}

void node::core::acknowledge(session& s) {
  if (role_ == role_state::syncing && receiver_.in_sync()) filled();
  std::uint64_t sequence = 0;
  if (!receiver_.ack_due(sequence)) return;
  char bytes[sizeof sequence];
  store_le(bytes, sequence);
  s.say(frame_type::ack, {bytes, sizeof bytes});
}

// --- what every step looks after -----------------------------------------------------------------

void node::core::check_sessions() {
  std::vector<std::pair<session_id, std::string>> ended;
  for (auto& [id, s] : sessions_) {
    if (!s.live()) {
      if (now_.steady >= handshake_by_.at(id)) ended.emplace_back(id, "no handshake in time");
      continue;
    }
    if (const char* why = s.verdict(options_.dead_after, now_))
      ended.emplace_back(id, why);
    else
      s.heartbeat(options_.heartbeat_interval, now_);
  }
  for (const auto& [id, why] : ended)
    if (const auto s = sessions_.find(id); s != sessions_.end())
      close(s->second, why, loss::silence);
}

void node::core::check_alone() {
  if (join_by_ && now_.steady >= *join_by_) stand_alone(false, "no peer answered in time");
  if (take_over_by_ && now_.steady >= *take_over_by_) stand_alone(true, "the master is gone");
}

void node::core::check_dial() {
  if (!dials() || dialing_ || executing() || now_.steady < next_dial_) return;
  for (const auto& [id, s] : sessions_)
    if (s.dialed) return;
  dialing_ = next_dial_id_;
  next_dial_id_ += 2;
  effects_.emplace_back(effect::dial{*dialing_});
}

// A few times a second: what the peer has confirmed may be forgotten, and journals that cannot be
// resumed from any more are.
void node::core::upkeep() {
  looked_after_ = now_.steady >= next_upkeep_;
  if (!looked_after_) return;
  next_upkeep_ = now_.steady + options_.heartbeat_interval;
  if (established_) {
    sender_.confirm_all();
    if (sender_.peer_in_sync()) complete_ = true;
    // Housekeeping may have journaled without a client's command to tell of it.
    if (data_.mutations() != mutations_pumped_) pump_wanted_ = true;
    report_progress();
    check_clocks();
  } else {
    sender_.drop_useless_journals();
  }
}

void node::core::pump() {
  session* s = established();
  if (const auto held = sender_.held_until(); held && now_.steady >= *held) pump_wanted_ = true;
  if (s == nullptr || !pump_wanted_ || window_full_ || s->unsent >= options_.unsent_bytes) return;
  if (now_.steady < next_batch_ && !sender_.bulk(now_) && !hurries()) return;
  mutations_pumped_ = data_.mutations();
  const std::size_t before = s->out.size();
  const auto result =
      sender_.pump(s->out, s->next_sequence, options_.unsent_bytes - s->unsent, now_);
  send_answers(*s);
  if (s->out.size() > before) s->expect_answer(now_);
  pump_wanted_ = result != sender::pumped::dry;
  window_full_ = result == sender::pumped::window;
  next_batch_ = now_.steady + options_.batch_interval;
}

void node::core::hand_over() {
  for (auto& [id, s] : sessions_) {
    if (s.out.empty()) continue;
    s.unsent += s.out.size();
    if (s.established) totals_.bytes_sent += s.out.size();
    effects_.emplace_back(effect::send{id, std::exchange(s.out, {})});
  }
}

bool node::core::waits_for_mutation() const {
  return established_.has_value() && !pump_wanted_;
}

steady_time node::core::deadline() const {
  steady_time next = next_upkeep_;
  for (const auto& [id, s] : sessions_)
    next = std::min(next, s.live() ? s.deadline(options_.heartbeat_interval, options_.dead_after)
                                   : handshake_by_.at(id));
  if (join_by_) next = std::min(next, *join_by_);
  if (take_over_by_) next = std::min(next, *take_over_by_);
  if (promotion_ && promotion_->hook == 0) next = std::min(next, promotion_->again);
  next = std::min(next, handover_deadline());
  for (const auto& [id, by] : orders_) next = std::min(next, by);
  if (const auto by = requests_.deadline()) next = std::min(next, *by);
  const bool dialed = std::any_of(sessions_.begin(), sessions_.end(),
                                  [](const auto& entry) { return entry.second.dialed; });
  if (dials() && !dialing_ && !established_ && !visit_ && !dialed)
    next = std::min(next, next_dial_);
  if (established_ && pump_wanted_ && !window_full_ &&
      sessions_.at(*established_).unsent < options_.unsent_bytes)
    next = std::min(next, sender_.bulk(now_) || hurries() ? now_.steady : next_batch_);
  if (linkless_since_ && rule_ == reply_rule::when_confirmed)
    next = std::min(next, *linkless_since_ + options_.ack_timeout);
  if (established_ && auditor_.busy()) next = std::min(next, now_.steady);
  if (const auto held = sender_.held_until(); established_ && held && *held > now_.steady)
    next = std::min(next, *held);
  return next;
}

session* node::core::established() {
  return established_ ? &sessions_.at(*established_) : nullptr;
}

session* node::core::executing() {
  return visit_ ? &sessions_.at(*visit_) : established();
}

std::string node::core::describe(const session& s) {
  return (s.dialed ? "connection to " : "connection from ") + s.peer;
}

node_status node::core::status(instant now) const {
  node_status out = totals_;
  out.role = role_;
  out.term = term_;
  out.node_id = node_id_;
  out.peer = peer_name_.empty() ? options_.peer : peer_name_;
  out.linked = established_.has_value();
  out.guest = options_.guest;
  out.visit = visit_.has_value();
  out.serving = serving_ && !draining_;
  out.draining = draining_;
  out.conflicts_won = last_split_.won;
  out.conflicts_lost = last_split_.lost;
  if (handover_)
    out.changing = "switchover";
  else if (promotion_)
    out.changing = promotion_->hook != 0 ? "pre_promote" : "vetoed";
  out.peer_in_sync = established_ && sender_.peer_in_sync();
  out.replies = options_.ack == ack_mode::async ? reply_rule::at_once : rule_;
  out.alone = alone_;
  if (peer_run_id_ != 0) {
    const sender::lag lag = sender_.measure();
    out.lag_records = lag.records;
    out.lag_bytes = lag.bytes;
    std::int64_t age = 0;
    if (lag.oldest)
      age = static_cast<std::int64_t>(version::ticks_at(now.wall)) -
            static_cast<std::int64_t>(lag.oldest.ticks());
    else if (lag.records > 0)
      age = (now.steady - lost_at_.steady).count();
    out.lag_milliseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(age, 0)) / 1000;
  }
  out.shards = data_.shard_count();
  out.scanned_shards = out.linked ? out.shards - sender_.shards_to_scan() : 0;
  if (const auto offset = peer_clock_.offset(); offset && out.linked) {
    out.clock_offset_milliseconds = std::chrono::duration_cast<milliseconds>(*offset).count();
    out.round_trip_microseconds = static_cast<std::uint64_t>(peer_clock_.round_trip().count());
  }
  out.audits = audits_;
  out.audit_running = auditor_.running();
  out.last_audit = last_audit_;
  const sync_progress::figures& sync = sender_.progress().look();
  out.sync_permille = out.linked ? sync.permille : 0;
  out.sync_records = sync.records;
  out.sync_bytes = sync.bytes;
  out.sync_rate = sync.bytes_per_second;
  out.sync_seconds_left = sync.seconds_left;
  out.inventories_asked = sender_.inventories_asked();
  out.records_sent = sender_.records_sent();
  out.journal_overruns = sender_.overruns();
  const receiver::counters& in = receiver_.totals();
  out.records_received = in.received;
  out.records_applied = in.applied;
  out.refused_by_floor = in.refused_by_floor;
  out.refused_no_room = in.refused_no_room;
  return out;
}

}  // namespace tandem::replication
