#include "proxy/session.h"

#include <string_view>
#include <utility>

#include "common/service/watch_line.h"
#include "proxy/address.h"
#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/worker.h"

namespace tandem::proxy {
namespace {

thread_local const session* running_session = nullptr;

class running_mark {
 public:
  explicit running_mark(const session* which) noexcept { running_session = which; }
  ~running_mark() { running_session = nullptr; }
  running_mark(const running_mark&) = delete;
  running_mark& operator=(const running_mark&) = delete;
};

// How `watch` names a client, of its address as stats_address() has it.
struct peer_words {
  std::string_view address, port, transport;
};

peer_words words_of(std::string_view address) {
  if (address.starts_with("unix:")) return {"unix", "0", "local"};
  const std::size_t port = address.rfind(':'), begin = address.find(':') + 1;
  if (port == std::string_view::npos || port <= begin) return {"?", "0", "tcp"};
  std::string_view host = address.substr(begin, port - begin);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  return {host, address.substr(port + 1), "tcp"};
}

}  // namespace

session::session(worker& owner, tcp_socket socket, steady_time at)
    : owner_(owner),
      socket_(std::move(socket)),
      id_(socket_.native_handle()),
      peer_(stats_address(id_, true)),
      connection_(owner.data(), owner.statistics(), owner.host(), owner.limits()),
      last_event_(at.time_since_epoch().count()) {
  connection_.name(id_, this);
  if (backend::lanes* const lanes = owner.host().backends())
    connection_.relay_to(*lanes, *this, owner.number());
}

const session* session::running() noexcept {
  return running_session;
}

void session::open() {
  publish("conn_new", "");
  start();
}

// Any thread. The session may be ending just now: then nobody waits for this.
void session::wake() {
  if (auto self = weak_from_this().lock())
    asio::post(socket_.get_executor(), [self = std::move(self)] {
      if (self->socket_.is_open()) self->watched();
    });
}

void session::publish(std::string_view event, std::string_view reason) const {
  service::watch_hub& watchers = owner_.host().watchers();
  if (!watchers.wants(service::watch::connevents)) return;
  const peer_words peer = words_of(peer_);
  service::watch_line line(event);
  line.add("rip", peer.address).add("rport", peer.port).add("transport", peer.transport);
  if (!reason.empty()) line.add("reason", reason);
  line.add("cfd", id_);
  watchers.publish(service::watch::connevents, now().wall, line.view());
}

void session::close(const char* why, std::string_view reason) {
  spdlog::debug("client {}: closed: {}", id_, why);
  publish("conn_close", reason);
  owner_.forget(shared_from_this());
  hang_up();
  error_code ignored;
  socket_.close(ignored);
}

void session::await_acknowledgement() {
  if (!connection_.waits() || std::exchange(awaited_, true)) return;
  owner_.await(shared_from_this(), connection_.seen());
}

void session::forward() {
  if (const std::string* const request = connection_.to_forward())
    owner_.forward(shared_from_this(), *request);
}

void session::forwarded(replication::forward_outcome outcome, std::string_view bytes) {
  if (!socket_.is_open() || close_unless_serving()) return;
  {
    const running_mark mark(this);
    connection_.forwarded(outcome, bytes, now());
  }
  answered();
}

// Requests are answered also when the client has gone.
void session::stay_while_relaying() {
  if (connection_.relays() && !stays_) stays_ = shared_from_this();
}

bool session::answered(const backend::expected& to, std::string_view reply) {
  connection_.answered(to, reply, owner_.host().acks() ? now() : instant{});
  return true;
}

void session::settled() {
  const std::shared_ptr<session> self = shared_from_this();
  if (!connection_.relays()) stays_.reset();
  if (socket_.is_open() && !close_unless_serving()) relayed();
}

void session::acknowledged(instant at) {
  awaited_ = false;
  if (!socket_.is_open()) return;
  connection_.look(at);
  released();
}

bool session::is_late(steady_time at) const {
  const session_timeouts& times = owner_.timeouts();
  const steady_time heard{steady_time::duration(last_event_.load(std::memory_order_relaxed))};
  const bool sent_away = owner_.draining() && at - heard >= drain_idle;
  switch (now_in()) {
    case phase::handshake:
      return at - heard >= times.handshake;
    case phase::writing:
      return at - blocked_since_ >= times.write;
    case phase::reading:
      if (sent_away) return true;
      [[fallthrough]];
    case phase::receiving_value:
      return times.idle.count() > 0 && at - heard >= times.idle;
    case phase::watching:  // it is to be silent
      return sent_away;
  }
  return false;
}

void session::close_late() {
  switch (now_in()) {
    case phase::handshake:
      owner_.count_handshake_error();
      return close("it took too long over the TLS handshake", "error");
    case phase::writing:
      owner_.write_kicks().add();
      return close("it does not read its replies", "error");
    case phase::reading:
    case phase::watching:
      if (owner_.draining()) return close("the node is drained", "shutdown");
      [[fallthrough]];
    case phase::receiving_value:
      owner_.idle_kicks().add();
      return close("it was idle", "idle_timeout");
  }
}

void session::describe(std::vector<service::stat_row>& rows, steady_time at) const {
  const std::string id = std::to_string(id_) + ':';
  const auto idle =
      at.time_since_epoch() - steady_time::duration(last_event_.load(std::memory_order_relaxed));
  rows.emplace_back(id + "addr", peer_);
  rows.emplace_back(id + "listen_addr", stats_address(id_, false));
  rows.emplace_back(id + "state", state_name());
  rows.emplace_back(id + "secs_since_last_cmd",
                    std::to_string(std::chrono::duration_cast<std::chrono::seconds>(idle).count()));
}

// memcached's words.
const char* session::state_name() const {
  if (running_session == this) return "conn_parse_cmd";
  switch (now_in()) {
    case phase::receiving_value:
      return "conn_nread";
    case phase::writing:
      return "conn_mwrite";
    case phase::watching:
      return "conn_watch";
    case phase::handshake:
    case phase::reading:
      break;
  }
  return "conn_read";
}

std::string session::name() const {
  return "client " + std::to_string(id_) + " (" + peer_name(id_) + ")";
}

bool session::close_unless_serving() {
  if (owner_.serving()) return false;
  close("the node stops serving", "shutdown");
  return true;
}

void session::received(std::size_t n) {
  const instant at = now();
  heard_at(at.steady);
  const running_mark mark(this);
  admin::latency_recorder& latencies = owner_.latencies();
  if (latencies.due()) latencies.begin(this, owner_.statistics(), precise_now());
  connection_.received(n, at);
  stay_while_relaying();
}

void session::replied() noexcept {
  owner_.latencies().end(owner_.statistics(), precise_now());
}

void session::received_end() {
  connection_.received_end();
}

void session::execute_more() {
  const instant at = now();
  heard_at(at.steady);
  const running_mark mark(this);
  connection_.resume(at);
  stay_while_relaying();
}

void session::blocked() {
  if (now_in() == phase::writing) return;
  if (owner_.latencies().measures(this)) owner_.latencies().drop();
  enter(phase::writing);
  blocked_since_ = now().steady;
  taken_since_ = 0;
}

void session::taken(std::size_t n) noexcept {
  if (now_in() != phase::writing) return;
  taken_since_ += n;
  if (taken_since_ < write_progress_min) return;
  blocked_since_ = now().steady;
  taken_since_ = 0;
}

}  // namespace tandem::proxy
