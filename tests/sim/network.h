// TCP as the core sees it: ordered bytes within a connection, arbitrary fragments, finite kernel
// buffers, stalls (what is sent during a partition arrives after it), resets in which each
// direction loses its own unread tail and the two ends learn of it at different times, and hosts
// that vanish without a word.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "tests/sim/world.h"

namespace tandem::sim {

using host_id = unsigned;
using connection_id = std::uint64_t;

// What a host is told. `end` 0 is the dialler's, 1 the acceptor's.
class host {
 public:
  virtual ~host() = default;
  virtual bool listening() const = 0;
  virtual void on_connected(connection_id c) = 0;
  virtual void on_connect_failed(connection_id c, const std::string& why) = 0;
  virtual void on_accepted(connection_id c) = 0;
  virtual void on_bytes(connection_id c, int end, std::string_view bytes) = 0;
  virtual void on_sent(connection_id c, int end, std::size_t bytes) = 0;
  virtual void on_closed(connection_id c, int end, const std::string& why) = 0;
};

class network {
 public:
  explicit network(world& w) : world_(w) {}

  void attach(host_id id, host* h) { hosts_[id] = h; }

  connection_id connect(host_id from, host_id to);
  void send(connection_id c, int end, std::string bytes);
  // An orderly close by one end: what it sent before still arrives.
  void close(connection_id c, int end);
  // The host died or was rebooted: its connections are gone without notice to it. With `reset` its
  // peers learn of it soon, without it (the machine itself vanished) they learn nothing.
  void host_down(host_id id, bool reset);

  // Nothing gets from `from` to `to` until unblocked; it is delivered then.
  void block(host_id from, host_id to, bool blocked);
  void heal();
  // Breaks every connection between the two as a middlebox does.
  void reset_all();

 private:
  struct direction {
    std::deque<std::pair<micros, std::string>> flying;  // when it may arrive
    std::deque<std::string> waiting;                    // beyond the kernel's buffer
    std::size_t flying_bytes = 0;
    micros last_arrival = 0;
    bool delivering = false;  // a delivery event is scheduled
    bool finished = false;    // the sender closed: an end follows the bytes
    bool cut = false;         // reset: nothing more gets in
  };
  struct connection {
    host_id hosts[2];
    direction to[2];  // to[e]: bytes for end e
    bool open[2] = {false, false};
    bool established = false;
  };

  void fill(connection_id id, int to_end);
  void schedule(connection_id id, int to_end);
  void deliver(connection_id id, int to_end);
  void lose(connection_id id, int end, const std::string& why);
  bool blocked(host_id from, host_id to) const { return blocked_.contains({from, to}); }

  world& world_;
  std::map<host_id, host*> hosts_;
  std::map<connection_id, connection> connections_;
  std::map<std::pair<host_id, host_id>, bool> blocked_;
  connection_id next_id_ = 1;
};

}  // namespace tandem::sim
