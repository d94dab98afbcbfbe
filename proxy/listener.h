// Where clients connect. The addresses are bound from the start, so that a wrong or taken one is an
// error of the start; they listen only while the node serves, so that a client of a node that is
// not in sync is refused at once rather than left hanging. Connections go to the workers in turn.
//
// Limits: over connections_max a client gets `ERROR Too many open connections` and is closed. Out
// of descriptors, accepting pauses for a moment.
//
// One thread, its io_context's, but for accepting().
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <vector>

#include "config/options.h"
#include "proxy/asio.h"
#include "proxy/connection_counts.h"
#include "proxy/log.h"
#include "proxy/worker.h"

namespace tandem::proxy {

class listener {
 public:
  // Binds; throws start_error. The workers and counts outlive the listener.
  listener(asio::io_context& context, const config::listen_options& options,
           const std::vector<std::unique_ptr<worker>>& workers, connection_counts& counts);

  // Starts listening, or stops and closes every client connection. What cannot be opened is tried
  // again until it can.
  void serve(bool open);
  // Whether a client could connect now. Any thread.
  bool accepting() const noexcept { return accepting_.load(std::memory_order_relaxed); }

 private:
  struct door {
    door(asio::io_context& context, const tcp::endpoint& address)
        : where(address), acceptor(context) {}
    tcp::endpoint where;
    tcp_acceptor acceptor;
    bool listening = false;
    bool waiting = false;     // for a connection
    bool complained = false;  // that it cannot be opened, in this opening
  };

  void bind(door& which, error_code& ec);
  void open_doors();
  void wait(door& which);
  void accept(door& which);
  void take(int socket);
  void pause(int error);

  const config::listen_options options_;
  const std::vector<std::unique_ptr<worker>>& workers_;
  connection_counts& counts_;
  std::vector<std::unique_ptr<door>> doors_;
  steady_timer retry_;   // of opening
  steady_timer breath_;  // of accepting
  std::size_t next_worker_ = 0;
  bool serving_ = false;
  bool paused_ = false;
  rarely complaints_{std::chrono::seconds(5)};
  std::atomic<bool> accepting_{false};
};

}  // namespace tandem::proxy
