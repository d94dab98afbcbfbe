#include "proxy/peer_link.h"

#include <unistd.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "common/base/check.h"
#include "common/service/watch_hub.h"
#include "common/service/watch_line.h"
#include "config/text.h"
#include "proxy/clock.h"
#include "proxy/log.h"

namespace tandem::proxy {
namespace {

namespace event = replication::event;
namespace effect = replication::effect;

constexpr std::chrono::hours timer_max{1};
// What a hook came to is told to the node that ran it only.
constexpr std::uint64_t hooks_per_life = std::uint64_t{1} << 32;

// Ids of accepted sessions are even, those of dialled ones odd.
bool was_accepted(replication::session_id session) {
  return session % 2 == 0;
}

replication::node_options node_options_of(const config::replication_options& from,
                                          const config::hook_options& hooks,
                                          const std::optional<config::endpoint>& peer,
                                          const replication::secrets& known, std::uint64_t run_id) {
  replication::node_options to;
  to.cluster = from.cluster;
  to.run_id = run_id;
  to.node_id = from.node_id;
  to.known_secrets = known;
  if (peer) to.peer = config::format_endpoint(*peer);
  to.heartbeat_interval = from.heartbeat_interval;
  to.dead_after = from.dead_after;
  to.connect_timeout = from.connect_timeout;
  to.reconnect_delay_min = from.reconnect_delay_min;
  to.reconnect_delay_max = from.reconnect_delay_max;
  to.join_timeout = from.join_timeout;
  to.takeover_grace = from.takeover_grace;
  to.batch_interval = from.batch_interval;
  to.clock_skew_max = from.clock_skew_max;
  to.ack = static_cast<replication::ack_mode>(from.ack);
  to.ack_timeout = from.ack_timeout;
  to.handover_timeout = from.handover_timeout;
  to.close_on_demotion = from.on_demotion == config::demotion::close;
  to.hooks.pre_promote = !hooks.pre_promote.empty();
  to.hooks.post_promote = !hooks.post_promote.empty();
  to.hooks.post_demote = !hooks.post_demote.empty();
  to.hooks.split_heal = !hooks.split_heal.empty();
  to.clock_skew_warn = from.clock_skew_warn;
  to.audit_interval = from.audit_interval;
  to.sync_rate = from.sync_rate;
  to.compression = static_cast<replication::compression>(from.compression);
  to.writes = static_cast<replication::writes_mode>(from.writes);
  to.writes_need_peer = from.writes_on_partition == config::partition_mode::error;
  to.while_syncing = static_cast<replication::syncing_mode>(from.while_syncing);
  return to;
}

replication::nonce fresh_nonce() {
  replication::nonce fresh;
  CHECK(::getentropy(fresh.data(), fresh.size()) == 0);
  return fresh;
}

// Without a peer the port is the only way to meet one; if another process has it, that one is the
// peer: an old master started again on the machine where its slave took over.
std::optional<config::endpoint> peer_of(const config::replication_options& options,
                                        const peer_port& port) {
  if (options.peer) return options.peer;
  const tcp::endpoint* taken = port.occupied();
  if (taken == nullptr) return std::nullopt;
  asio::ip::address host = taken->address();
  if (host.is_unspecified())
    host = host.is_v6() ? asio::ip::address(asio::ip::address_v6::loopback())
                        : asio::ip::address(asio::ip::address_v4::loopback());
  const config::endpoint peer{host.to_string(), taken->port()};
  spdlog::info("replication: port in use, taking {} as the peer", config::format_endpoint(peer));
  return peer;
}

}  // namespace

peer_link::peer_link(const config::replication_options& options, const config::hook_options& hooks,
                     const std::vector<std::string>& addresses, peer_trust trust,
                     std::uint64_t run_id, service::store& data, replication::data_port& port,
                     service::ack_gate* acks, peer_link_owner& owner)
    : options_(options),
      trust_(trust),
      keys_(options),
      data_(data),
      data_port_(port),
      acks_(acks),
      owner_(owner),
      port_(context_, addresses, options.listen_port.value_or(options.port)),
      peer_(peer_of(options, port_)),
      node_options_(node_options_of(options, hooks, peer_, keys_.first_secrets(), run_id)),
      node_(std::make_unique<replication::node>(node_options_, port, run_id)),
      timer_(context_) {
  if (peer_) dialer_ = std::make_shared<dialer>(context_, *peer_, trust_, options_.connect_timeout);
}

peer_link::~peer_link() {
  stop();
}

replication::node_status peer_link::status() const {
  const std::lock_guard guard(node_mutex_);
  return node_->status(now());
}

void peer_link::wake() {
  asio::post(context_, [this] {
    told_mutations_ = data_port_.mutations();
    step(event::mutated{});
  });
}

void peer_link::command(std::uint64_t id, std::string text) {
  asio::post(context_, [this, id, said = std::move(text)] { step(event::command{id, said}); });
}

void peer_link::forward(std::string request, forward_handler done) {
  asio::post(context_, [this, bytes = std::move(request), then = std::move(done)]() mutable {
    const std::uint64_t id = next_forward_++;
    forwards_.emplace(id, std::move(then));
    step(event::forward{id, std::move(bytes)});
  });
}

void peer_link::acknowledgement_late() {
  if (late_.exchange(true)) return;
  asio::post(context_, [this] {
    late_.store(false);
    step(event::ack_late{});
  });
}

void peer_link::hook_done(std::uint64_t id, bool ok, std::string how) {
  asio::post(context_, [this, id, ok, said = std::move(how)] {
    if (id / hooks_per_life == life_) step(event::hook_done{id % hooks_per_life, ok, said});
  });
}

// --- the loop ----------------------------------------------------------------------------------

void peer_link::step(const replication::any_event& what) {
  if (rests_) return;
  std::vector<replication::any_effect> effects;
  steady_time deadline;
  {
    const std::lock_guard guard(node_mutex_);
    effects = node_->step(what, now());
    deadline = node_->deadline();
  }
  for (replication::any_effect& each : effects) std::visit([this](auto& e) { obey(e); }, each);
  // Only now, so that what the effects queued goes out in one write.
  for (const auto& [id, socket] : sessions_) socket->flush();
  if (acks_ != nullptr) acks_->announce();
  execute_requests();
  set_timer(deadline);
  arm();
}

// Asks the workers to say when something is journaled, once there is nothing left to do without.
void peer_link::arm() {
  bool waits;
  {
    const std::lock_guard guard(node_mutex_);
    waits = node_->waits_for_mutation();
  }
  if (!waits) return;
  armed_.exchange(true);
  // A worker may have looked at the flag just before. (One whose count is not visible yet either is
  // found after the next step, a heartbeat later at the most.)
  if (data_port_.mutations() != told_mutations_ && armed_.exchange(false)) wake();
}

// A deadline that moves back costs nothing: the timer goes off in vain and is set again.
void peer_link::set_timer(steady_time deadline) {
  const steady_time latest = now().steady + timer_max;
  deadline = std::min(deadline, latest);
  if (timer_at_ && *timer_at_ <= deadline) return;
  timer_at_ = deadline;
  timer_.expires_at(timer_time(deadline));
  timer_.async_wait([this](error_code ec) {
    if (ec) return;
    timer_at_.reset();
    steady_time wanted;
    {
      const std::lock_guard guard(node_mutex_);
      wanted = node_->deadline();
    }
    if (now().steady < wanted) return set_timer(wanted);
    step(event::tick{});
  });
}

// --- effects -----------------------------------------------------------------------------------

void peer_link::obey(const effect::dial& what) {
  dialer_->start([this, session = what.session](tcp_socket socket, const std::string& reason) {
    if (!socket.is_open()) return step(event::dial_failed{session, reason});
    if (!open_session(session, std::move(socket)))
      return step(event::dial_failed{session, "no memory for TLS"});
    step(event::dialed{session, fresh_nonce()});
  });
}

void peer_link::obey(effect::send& what) {
  const auto found = sessions_.find(what.session);
  if (found != sessions_.end()) found->second->send(std::move(what.bytes));
}

void peer_link::obey(const effect::close& what) {
  const auto found = sessions_.find(what.session);
  if (found == sessions_.end()) return;
  if (what.at_once)
    found->second->drop();
  else
    found->second->finish();
  let_go(std::move(found->second));
  sessions_.erase(found);
  if (was_accepted(what.session)) --accepted_sessions_;
}

void peer_link::obey(const effect::serve& what) {
  owner_.serve(what.open);
}

void peer_link::obey(const effect::replies& what) {
  if (acks_ != nullptr) acks_->set_rule(what.rule);
}

void peer_link::obey(const effect::routes& what) {
  owner_.routed(what);
}

void peer_link::obey(const effect::fence& what) {
  owner_.fence([this, life = life_, id = what.id] {
    post([this, life, id] {
      if (life == life_) step(event::fenced{id});
    });
  });
}

// The rest of the step comes first.
void peer_link::obey(effect::execute& what) {
  to_execute_.push_back(std::move(what));
}

// Before anything else can change the role by which they are executed here.
void peer_link::execute_requests() {
  if (to_execute_.empty() || std::exchange(executing_, true)) return;
  while (!to_execute_.empty()) {
    const effect::execute request = std::move(to_execute_.front());
    to_execute_.pop_front();
    owner_.execute(request.bytes, [this, life = life_, session = request.session,
                                   id = request.id](service::peer_request::result done) {
      if (life == life_)
        step(event::executed{session, id, std::move(done.replies), std::move(done.marks)});
    });
  }
  executing_ = false;
}

void peer_link::obey(effect::forward_done& what) {
  const auto found = forwards_.find(what.id);
  if (found == forwards_.end()) return;
  const forward_handler done = std::move(found->second);
  forwards_.erase(found);
  done(what.outcome, std::move(what.bytes));
}

void peer_link::obey(effect::note& what) {
  service::watch_hub* const watchers = data_.watchers();
  if (watchers != nullptr && watchers->wants(service::watch::replication)) {
    // The text has spaces, so it comes last.
    service::watch_line line("replication");
    line.add("msg", what.text);
    watchers->publish(service::watch::replication, now().wall, line.view());
  }
  owner_.noted(what.severity, what.text);
  log_note(what.severity, std::move(what.text));
}

void peer_link::obey(effect::answer& what) {
  owner_.answered(what.id, what.ok, std::move(what.text));
}

void peer_link::obey(effect::run_hook& what) {
  what.id += life_ * hooks_per_life;
  owner_.run_hook(std::move(what));
}

void peer_link::obey(const effect::close_clients&) {
  owner_.close_clients();
}

void peer_link::obey(const effect::drain& what) {
  owner_.drain(what.on);
}

// --- sockets -----------------------------------------------------------------------------------

void peer_link::accepted(tcp_socket socket) {
  error_code ec;
  const tcp::endpoint from = socket.remote_endpoint(ec);
  if (ec || rests_) return;
  if (!trusted(from.address(), trust_)) {
    if (refusals_.now())
      spdlog::warn(
          "replication: refusing a connection from {}: the link is not authenticated and takes {} "
          "only",
          to_string(from), describe(trust_));
    return;
  }
  if (accepted_sessions_ >= sessions_max) {
    spdlog::debug("replication: refusing a connection from {}: too many", to_string(from));
    return;
  }
  const bool open_door = trust_ == peer_trust::private_network || trust_ == peer_trust::anywhere;
  if (open_door && !from.address().is_loopback() && !std::exchange(warned_of_trust_, true))
    spdlog::warn(
        "replication: the link is not authenticated: whoever can connect to port {} from "
        "{} can read and change the cache",
        options_.listen_port.value_or(options_.port), describe(trust_));
  const replication::session_id session = next_accepted_id_;
  next_accepted_id_ += 2;
  if (!open_session(session, std::move(socket))) return;
  ++accepted_sessions_;
  step(event::accepted{session, to_string(from), fresh_nonce()});
}

// False: it is closed.
bool peer_link::open_session(replication::session_id session, tcp_socket socket) {
  tune_link_socket(socket, options_.dead_after);
  std::unique_ptr<tls_stream> tls;
  if (keys_.tls()) {
    error_code ec;
    socket.native_non_blocking(true, ec);
    if (!ec) tls = keys_.open(socket.native_handle(), !was_accepted(session));
    if (!tls) return false;
  }
  link_socket_owner& self = *this;
  const auto fresh =
      std::make_shared<link_socket>(session, std::move(socket), std::move(tls), self);
  sessions_.emplace(session, fresh);
  fresh->start();
  return true;
}

// A closed socket may wait a little for the other side to read; not any number of them.
void peer_link::let_go(std::shared_ptr<link_socket> socket) {
  leaving_.push_back(std::move(socket));
  if (leaving_.size() <= leaving_max) return;
  if (const auto oldest = leaving_.front().lock()) oldest->drop();
  leaving_.pop_front();
}

void peer_link::reload_keys() {
  if (replication::secrets known = keys_.reload(); !known.empty())
    post([this, known = std::move(known)] {
      node_options_.known_secrets = known;
      step(event::rekeyed{known});
    });
}

void peer_link::link_received(replication::session_id session, std::string_view bytes) {
  step(event::received{session, bytes});
}

void peer_link::link_sent(replication::session_id session, std::size_t bytes) {
  step(event::sent{session, bytes});
}

void peer_link::link_closed(replication::session_id session, const std::string& reason,
                            bool untrusted) {
  if (const auto found = sessions_.find(session); found != sessions_.end()) {
    let_go(std::move(found->second));
    sessions_.erase(found);
  }
  if (was_accepted(session)) --accepted_sessions_;
  step(event::closed{session, reason, untrusted});
}

}  // namespace tandem::proxy
