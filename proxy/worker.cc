#include "proxy/worker.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "proxy/clock.h"
#include "proxy/log.h"

namespace tandem::proxy {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds sweep_interval_min{5};
constexpr milliseconds sweep_interval_max{1000};
// Replies that wait for the peer are late by at most so much more.
constexpr milliseconds ack_look_min{1};
constexpr milliseconds ack_look_max{50};
constexpr int ack_looks_per_timeout = 10;

// A timeout is noticed late by at most a quarter of the shortest.
milliseconds sweep_interval(const session_rules& rules) {
  milliseconds shortest = rules.timeouts.write;
  if (rules.timeouts.idle.count() > 0) shortest = std::min(shortest, rules.timeouts.idle);
  if (rules.tls != nullptr) shortest = std::min(shortest, rules.timeouts.handshake);
  return std::clamp(shortest / 4, sweep_interval_min, sweep_interval_max);
}

}  // namespace

worker::worker(service::store& data, service::server& host, forwarder forward,
               connection_counts& counts, const std::atomic<bool>& serving,
               const session_rules& rules, worker_backend backend)
    : data_(data),
      host_(host),
      forward_(std::move(forward)),
      counts_(counts),
      serving_(serving),
      rules_(rules),
      sweep_interval_(sweep_interval(rules)),
      acks_(host.acks()),
      scratch_(rules.tls_write_buffer),
      backend_(std::move(backend)) {
  // Asio opens the loop's descriptors for the first socket. Having none left is an error of the
  // start, and must not wait for a client.
  const tcp_socket first(context_);
  if (acks_ != nullptr) acks_number_ = acks_->subscribe(*this);
  if (backend_.pool != nullptr)
    backend_connection_ = std::make_unique<backend_connection>(
        context_, *backend_.pool, backend_.pool->lane(backend_.number), backend_.mail);
}

worker::~worker() {
  stop();
  take_mail();  // what other workers' connections lost after that
}

void worker::start(unsigned number) {
  if (backend_connection_) asio::post(context_, [this] { backend_connection_->start(); });
  thread_ = std::thread([this] { context_.run(); });
  ::pthread_setname_np(thread_.native_handle(), ("worker-" + std::to_string(number)).c_str());
}

void worker::stop() {
  if (!thread_.joinable()) return;
  asio::post(context_, [this] {
    close_sessions();
    if (backend_connection_) backend_connection_->stop();
    sweep_timer_.cancel();
    ack_timer_.cancel();
    awaiting_.clear();
    work_.reset();
  });
  thread_.join();
}

void worker::adopt(int socket, config::listener_tls tls) {
  asio::post(context_, [this, socket, tls] {
    const std::shared_ptr<session> fresh = make_session(socket, tls);
    if (!fresh) return counts_.leave();
    {
      const std::lock_guard guard(sessions_mutex_);
      sessions_.insert(fresh);
    }
    sweep_later();
    fresh->open();
  });
}

// Null if it cannot be: the socket is closed then.
std::shared_ptr<session> worker::make_session(int socket, config::listener_tls tls) {
  tcp_socket client(context_);
  error_code ec;
  // The family matters to opening only.
  client.assign(tcp::v4(), socket, ec);
  if (ec) {
    spdlog::warn("client {}: {}", socket, ec.message());
    ::close(socket);
  }
  // The node may have stopped serving while the socket was on its way here.
  if (ec || !serving()) return nullptr;
  client.non_blocking(true, ec);
  const steady_time at = now().steady;
  if (rules_.tls == nullptr || tls == config::listener_tls::off)
    return session::make(*this, std::move(client), at);
  ssl_handle connection = rules_.tls->open(socket, tls);
  if (!connection) {
    count_handshake_error();
    return nullptr;
  }
  return session::make_tls(*this, std::move(client), std::move(connection), rules_.tls->counters(),
                           at);
}

void worker::count_handshake_error() {
  rules_.tls->counters().handshake_errors.fetch_add(1, std::memory_order_relaxed);
}

// Timeouts are looked for in all sessions at once: a timer for each would have to be set anew with
// each request.
void worker::sweep_later() {
  if (std::exchange(sweeping_, true)) return;
  sweep_timer_.expires_after(sweep_interval_);
  sweep_timer_.async_wait([this](error_code) { sweep(); });
}

void worker::sweep() {
  sweeping_ = false;
  const steady_time at = now().steady;
  std::vector<std::shared_ptr<session>> late;
  for (const auto& each : sessions_)
    if (each->is_late(at)) late.push_back(each);
  for (const auto& each : late) each->close_late();
  if (!sessions_.empty()) sweep_later();
}

// In the link's thread.
void worker::confirmed() {
  asio::post(context_, [this] { look_at_waiting(); });
}

void worker::await(const std::shared_ptr<session>& which, std::uint64_t seen) {
  awaiting_.push_back(which);
  if (acks_->wait(acks_number_, seen)) confirmed();
  if (std::exchange(ack_timer_runs_, true)) return;
  ack_timer_.expires_after(
      std::clamp(acks_->timeout() / ack_looks_per_timeout, ack_look_min, ack_look_max));
  ack_timer_.async_wait([this](error_code ec) {
    ack_timer_runs_ = false;
    if (!ec) look_at_waiting();
  });
}

// Those that wait on come back by await().
void worker::look_at_waiting() {
  if (awaiting_.empty()) return;
  looked_at_.swap(awaiting_);
  const instant at = now();
  for (const auto& each : looked_at_) each->acknowledged(at);
  looked_at_.clear();
}

void worker::forward(const std::shared_ptr<session>& which, std::string request) {
  forward_(std::move(request), [this, waiting = std::weak_ptr(which)](
                                   replication::forward_outcome outcome, std::string bytes) {
    asio::post(context_, [waiting, outcome, answer = std::move(bytes)] {
      if (const auto self = waiting.lock()) self->forwarded(outcome, answer);
    });
  });
}

void worker::mail(std::vector<backend_mail> replies) {
  {
    const std::lock_guard guard(mail_mutex_);
    const bool told = !mail_.empty();
    for (backend_mail& each : replies) mail_.push_back(std::move(each));
    if (told) return;
  }
  asio::post(context_, [this] { take_mail(); });
}

void worker::take_mail() {
  std::vector<backend_mail> taken;
  {
    const std::lock_guard guard(mail_mutex_);
    taken.swap(mail_);
  }
  reply_round round;
  for (const backend_mail& each : taken) round.give(each.to, each.reply);
  round.settle();
}

void worker::close_all() {
  asio::post(context_, [this] { close_sessions(); });
}

void worker::close_sessions() {
  while (!sessions_.empty()) {
    const std::shared_ptr<session> each = *sessions_.begin();
    each->close("the node stops serving", "shutdown");
  }
}

void worker::forget(const std::shared_ptr<session>& which) {
  {
    const std::lock_guard guard(sessions_mutex_);
    sessions_.erase(which);
  }
  counts_.leave();
}

void worker::describe_sessions(std::vector<service::stat_row>& rows, steady_time at) const {
  const std::lock_guard guard(sessions_mutex_);
  for (const auto& each : sessions_) each->describe(rows, at);
}

}  // namespace tandem::proxy
