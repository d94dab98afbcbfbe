// A client's socket: moves bytes between it and a service::connection, which has all the logic. The
// worker's thread only, but for describe().
//
// A session waits for one thing at a time: to read, to write on, for its turn, or, when it may read
// no more, for the peer to confirm what its replies tell of. When something comes for a watcher, or
// a confirmation brings more than a write, its wait to read is cut short. What it waits with keeps
// it alive, and takes no memory anew: Asio reuses that of the wait before. A reply is written at
// once, and waited for only when the socket is full.
//
// Limits: what is not yet sent is bounded by connection (wants_read); a client that does not read
// its replies is not read from either, and closed after write_timeout. One that always has more to
// ask gives way to the others after a read, and within what was read after requests_per_event
// requests.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/backend/lane.h"
#include "common/base/time.h"
#include "common/service/connection.h"
#include "common/service/server.h"
#include "proxy/asio.h"
#include "proxy/tls.h"

namespace tandem::proxy {

class worker;

// How long a client may keep others' resources without using them.
struct session_timeouts {
  std::chrono::milliseconds idle{0};       // without sending anything; 0: for ever
  std::chrono::milliseconds write{0};      // without taking what there is to read, or
                                           // write_progress_min bytes of it
  std::chrono::milliseconds handshake{0};  // of TLS
};

// Plain and TLS sessions are two instances of one template (stream_session.cc): what is virtual is
// not called for each request.
class session : public std::enable_shared_from_this<session>,
                private service::watch_waker,
                private backend::reply_sink {
 public:
  // Who takes a byte now and then is no better than who takes none.
  static constexpr std::size_t write_progress_min = std::size_t{64} << 10;

  // How long a client of a node that is drained may rest before it is sent away.
  static constexpr std::chrono::milliseconds drain_idle{500};

  // `socket` is connected, does not block and belongs to the worker's io_context.
  static std::shared_ptr<session> make(worker& owner, tcp_socket socket, steady_time at);
  static std::shared_ptr<session> make_tls(worker& owner, tcp_socket socket, ssl_handle connection,
                                           tls_counters& counters, steady_time at);
  virtual ~session() = default;
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  // Tells those who watch of the client, and waits for its first bytes. Once.
  void open();
  // Closes the socket and leaves the worker; once, and by someone who holds the session. `why` is
  // for the log, `reason` one of memcached's: error, normal, idle_timeout, shutdown.
  void close(const char* why, std::string_view reason);
  // Whether one of its times is up; close_late() then counts and closes it, as close() does.
  bool is_late(steady_time at) const;
  void close_late();
  // What replies wait for may have come (worker::await).
  void acknowledged(instant at);
  // What came of a request that went to the master.
  void forwarded(replication::forward_outcome outcome, std::string_view bytes);
  // Rows of `stats conns`. Any thread, while the worker's list is locked.
  void describe(std::vector<service::stat_row>& rows, steady_time at) const;
  // "client 12 (10.0.0.7:51234)"
  std::string name() const;
  // The session whose requests are being executed in this thread, or null.
  static const session* running() noexcept;

 protected:
  enum class phase : std::uint8_t { handshake, reading, receiving_value, writing, watching };

  session(worker& owner, tcp_socket socket, steady_time at);
  virtual void start() = 0;
  // Something has come for a watcher. In the worker's thread.
  virtual void watched() = 0;
  // Some of the replies that waited for the peer may go out. In the worker's thread.
  virtual void released() = 0;
  // The master's answer has come. In the worker's thread. If it waits to write it looks by itself.
  virtual void answered() = 0;
  // The backend's answers have come, as many as came together. In the worker's thread.
  virtual void relayed() = 0;
  // What the master is to execute goes there.
  void forward();
  // If replies wait, the worker tells when to look again.
  void await_acknowledgement();
  // Before the socket is closed.
  virtual void hang_up() {}
  void received(std::size_t n);
  // The replies to what was received are sent, in the turn that is measured.
  void replied() noexcept;
  void received_end();
  void execute_more();
  bool close_unless_serving();
  // Output waits for the client from now on; some of it was taken.
  void blocked();
  void taken(std::size_t n) noexcept;

  worker& owner_;
  tcp_socket socket_;
  const int id_;            // the descriptor: the client's name in the log and in `stats conns`
  const std::string peer_;  // kept: a broken connection does not know it any more
  service::connection connection_;
  void enter(phase which) noexcept { phase_.store(which, std::memory_order_relaxed); }

 private:
  void heard_at(steady_time at) noexcept {
    last_event_.store(at.time_since_epoch().count(), std::memory_order_relaxed);
  }

  void wake() override;
  bool answered(const backend::expected& to, std::string_view reply) override;
  void settled() override;
  void stay_while_relaying();
  void publish(std::string_view event, std::string_view reason) const;
  const char* state_name() const;
  phase now_in() const noexcept { return phase_.load(std::memory_order_relaxed); }

  std::atomic<phase> phase_{phase::reading};
  std::atomic<steady_time::rep> last_event_;
  std::shared_ptr<session> stays_;  // itself, while the backend has requests of it
  bool awaited_ = false;            // the worker knows that replies wait
  steady_time blocked_since_{};     // in phase writing
  std::size_t taken_since_ = 0;     // bytes, since then
};

}  // namespace tandem::proxy
