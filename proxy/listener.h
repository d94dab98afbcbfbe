// Where clients connect. The addresses are bound from the start, so that a wrong or taken one is an
// error of the start; they listen only while the node serves, so that a client of a node that is
// not in sync is refused at once rather than left hanging. Connections go to the workers in turn.
//
// Limits: over connections_max a client gets `ERROR Too many open connections` and is closed, or,
// without reject_at_limit, accepting pauses until a connection is free. Out of descriptors it
// pauses for a moment.
//
// One thread, its io_context's, but for accepting() and describe().
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/options.h"
#include "config/text.h"
#include "proxy/address.h"
#include "proxy/asio.h"
#include "proxy/connection_counts.h"
#include "proxy/log.h"
#include "proxy/unix_socket.h"
#include "proxy/worker.h"

namespace tandem::proxy {

class listener {
 public:
  // Binds; throws start_error. `tls`: the workers speak it. The workers and counts outlive the
  // listener.
  listener(asio::io_context& context, const config::listen_options& options, bool tls,
           const std::vector<std::unique_ptr<worker>>& workers, connection_counts& counts);

  // The UNIX socket to the user that the daemon becomes. Throws start_error.
  void give_to(uid_t user, gid_t group) const;

  // Starts listening, or stops and closes every client connection. What cannot be opened is tried
  // again until it can.
  void serve(bool open);
  // on: stops listening even while it serves; the connections there are stay.
  void drain(bool on);
  // For good: nothing is bound any more.
  void stop();
  // Rows of `stats conns`. Any thread.
  void describe(std::vector<service::stat_row>& rows, steady_time at) const;
  // Whether a client could connect now. Any thread.
  bool accepting() const noexcept { return accepting_.load(std::memory_order_relaxed); }

 private:
  struct door {
    door(asio::io_context& context, const tcp::endpoint& address, config::listener_tls how)
        : where(address), tls(how), acceptor(context) {}
    tcp::endpoint where;  // unless it is the UNIX socket's
    bool is_unix = false;
    config::listener_tls tls;
    tcp_acceptor acceptor;
    bool listening = false;
    std::atomic<int> descriptor{-1};  // while it listens
    bool waiting = false;             // for a connection
    bool complained = false;          // that it cannot be opened, in this opening
  };

  void add_tcp_doors(bool tls);
  void add_unix_door();
  void bind(door& which, error_code& ec);
  std::string name_of(const door& which) const;
  void open_doors();
  void close_doors();
  static void close(door& which);
  void wait(door& which);
  void accept(door& which);
  void take(door& which, int socket);
  bool at_limit() const { return counts_.current() >= options_.connections_max; }
  void pause(const std::string& why);
  void breathe();
  void finish_pause();

  const config::listen_options options_;
  asio::io_context& context_;
  std::optional<unix_socket_file> unix_file_;
  const std::vector<std::unique_ptr<worker>>& workers_;
  connection_counts& counts_;
  std::vector<std::unique_ptr<door>> doors_;
  steady_timer retry_;   // of opening
  steady_timer breath_;  // of accepting
  std::size_t next_worker_ = 0;
  bool serving_ = false;
  bool draining_ = false;
  bool paused_ = false;
  std::chrono::steady_clock::time_point paused_at_;
  rarely complaints_{std::chrono::seconds(5)};
  std::atomic<bool> accepting_{false};
  std::atomic<steady_time::rep> last_accept_;
};

}  // namespace tandem::proxy
