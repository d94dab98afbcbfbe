// A thread with an io_context, and the client sessions pinned to it. What a worker holds is touched
// by its own thread only, but for what is marked.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "common/admin/latency.h"
#include "common/service/connection.h"
#include "common/service/server.h"
#include "common/service/store.h"
#include "config/text.h"
#include "proxy/asio.h"
#include "proxy/backend_connection.h"
#include "proxy/backend_pool.h"
#include "proxy/connection_counts.h"
#include "proxy/session.h"
#include "proxy/tls.h"

namespace tandem::proxy {

// What holds for every session of a worker.
struct session_rules {
  service::connection_limits limits;
  session_timeouts timeouts;
  tls_context* tls = nullptr;  // null: TLS is off
  std::size_t tls_write_buffer = 0;
};

// Where the data is, if it is not in the store.
struct worker_backend {
  backend_pool* pool = nullptr;  // null: it is there
  std::uint16_t number = 0;      // of this worker, and of its lane
  backend_connection::mailer mail;
};

class worker final : private service::ack_waker {
 public:
  // Sends a request to the master; `done` is called in any thread.
  using forwarder = std::function<void(
      std::string request, std::function<void(replication::forward_outcome, std::string)> done)>;
  // Everything outlives the worker. `serving` is read by the sessions: false means that no request
  // is executed any more, even if it has been received. Throws system_error.
  worker(service::store& data, service::server& host, forwarder forward, connection_counts& counts,
         const std::atomic<bool>& serving, const session_rules& rules, worker_backend backend);
  ~worker();
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  void start(unsigned number);
  // Closes every session, ends the loop and waits for the thread. Not from the worker's thread.
  void stop();

  // --- any thread ----------------------------------------------------------------------------
  // A connected, non-blocking socket, for which counts.enter() was called, becomes a session.
  // `tls`: off, unless the rules have TLS.
  void adopt(int socket, config::listener_tls tls);
  // Closes the sessions there are when the call is reached; later ones stay.
  void close_all();
  // on: sessions that are idle for drain_idle are closed.
  void drain(bool on) noexcept { draining_.store(on, std::memory_order_relaxed); }
  void post(std::function<void()> call) { asio::post(context_, std::move(call)); }
  // Replies for this worker's sessions that came by another's connection to the backend.
  void mail(std::vector<backend_mail> replies);
  service::worker_statistics& statistics() noexcept { return statistics_; }
  admin::latency_recorder& latencies() noexcept { return latencies_; }  // add_to: any thread
  // Sessions closed by their timeouts.
  service::counter& idle_kicks() noexcept { return idle_kicks_; }
  service::counter& write_kicks() noexcept { return write_kicks_; }
  // Appends `<fd>:...` rows of `stats conns`.
  void describe_sessions(std::vector<service::stat_row>& rows, steady_time at) const;

  // --- for sessions, in the worker's thread ------------------------------------------------------
  service::store& data() noexcept { return data_; }
  service::server& host() noexcept { return host_; }
  std::uint16_t number() const noexcept { return backend_.number; }
  const service::connection_limits& limits() const noexcept { return rules_.limits; }
  const session_timeouts& timeouts() const noexcept { return rules_.timeouts; }
  // For one write, until the next.
  std::span<char> scratch() noexcept { return scratch_; }
  void count_handshake_error();
  bool draining() const noexcept { return draining_.load(std::memory_order_relaxed); }
  bool serving() const noexcept { return serving_.load(std::memory_order_acquire); }
  // The session has replies that wait for the peer: its acknowledged() is called when the gate has
  // changed, and now and then. For once.
  void await(const std::shared_ptr<session>& which, std::uint64_t seen);
  // Sends a request to the master; its session's forwarded() gets the answer, in this thread. The
  // session may be gone by then.
  void forward(const std::shared_ptr<session>& which, std::string request);
  // The session is closing.
  void forget(const std::shared_ptr<session>& which);

 private:
  void close_sessions();
  std::shared_ptr<session> make_session(int socket, config::listener_tls tls);
  void sweep_later();
  void sweep();
  void confirmed() override;
  void look_at_waiting();
  void take_mail();

  service::store& data_;
  service::server& host_;
  const forwarder forward_;
  connection_counts& counts_;
  const std::atomic<bool>& serving_;
  std::atomic<bool> draining_{false};
  const session_rules rules_;
  const steady_time::duration sweep_interval_;
  service::worker_statistics statistics_;
  admin::latency_recorder latencies_;
  // Sockets and timers are this thread's, calls come in by post(): only those need Asio's locks.
  asio::io_context context_{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
  work_guard work_{context_.get_executor()};
  steady_timer sweep_timer_{context_};
  bool sweeping_ = false;
  service::ack_gate* const acks_;  // null: no reply waits for the peer
  std::size_t acks_number_ = 0;    // among its subscribers
  std::vector<std::shared_ptr<session>> awaiting_, looked_at_;
  steady_timer ack_timer_{context_};
  bool ack_timer_runs_ = false;
  std::vector<char> scratch_;
  const worker_backend backend_;
  std::unique_ptr<backend_connection> backend_connection_;  // null: the data is in the store
  std::mutex mail_mutex_;
  std::vector<backend_mail> mail_;  // under mail_mutex_
  service::counter idle_kicks_, write_kicks_;
  // Guards the set for describe_sessions; changes are this thread's, so it reads without.
  mutable std::mutex sessions_mutex_;
  std::unordered_set<std::shared_ptr<session>> sessions_;
  std::thread thread_;
};

}  // namespace tandem::proxy
