// TCP as the core sees it: ordered bytes within a connection, arbitrary fragments, finite kernel
// buffers, stalls (what is sent during a partition arrives after it, in one direction or both),
// connections that carry nothing while new ones work, resets in which each direction loses its own
// unread tail and the two ends learn of it at different times, and hosts that vanish without a
// word: their connections stay half open until something is sent on them to the host that is back.
// Connections are independent: what an old one still carries may arrive after a new one has begun.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

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

struct network_options {
  micros latency_max = 3 * milli;
  std::size_t kernel_buffer = 96 << 10;  // bytes under way in one direction of a connection
  std::uint64_t bytes_per_second = 0;    // in one direction of a connection; 0: no limit
};

class network {
 public:
  network(world& w, const network_options& options) : world_(w), options_(options) {}

  void attach(host_id id, host* h) { hosts_[id] = h; }

  connection_id connect(host_id from, host_id to);
  void send(connection_id c, int end, std::string bytes);
  // An orderly close by one end: what it sent before still arrives.
  void close(connection_id c, int end);
  // The host died or was rebooted: its connections are gone without notice to it. With `reset` its
  // peers learn of it soon, without it (the machine itself vanished) when they send something to it
  // after it is back.
  void host_down(host_id id, bool reset);

  // Who is at the other end of an open connection.
  host_id opposite(connection_id c, int end) const { return connections_.at(c).hosts[1 - end]; }

  // Nothing gets from `from` to `to` until unblocked; it is delivered then.
  void block(host_id from, host_id to, bool blocked);
  // The connections that exist now carry nothing for so long, as if a middlebox had forgotten them.
  void hold_flows(micros how_long);
  void heal();
  // Breaks every connection as a middlebox does.
  void reset_all();

  // What an end has handed over and the kernel has not taken yet, in bytes: the most of any
  // connection at any time.
  std::size_t waiting_bytes_max() const noexcept { return waiting_max_; }

 private:
  struct direction {
    std::deque<std::pair<micros, std::string>> flying;  // when it may arrive
    std::deque<std::string> waiting;                    // beyond the kernel's buffer
    std::size_t taken = 0;                              // of the first of them
    std::size_t flying_bytes = 0;
    std::size_t waiting_bytes = 0;
    micros last_arrival = 0;
    bool delivering = false;  // a delivery event is scheduled
    bool finished = false;    // the sender closed: an end follows the bytes
    bool cut = false;         // reset: nothing more gets in
    void forget_waiting() {
      waiting.clear();
      taken = waiting_bytes = 0;
    }
  };
  struct connection {
    host_id hosts[2] = {0, 0};
    direction to[2];  // to[e]: bytes for end e
    bool open[2] = {false, false};
    bool unknown[2] = {false, false};  // the host of this end died and knows nothing of it
    micros held_until = 0;
  };

  void knock(connection_id id, host_id from, host_id to, micros patience);
  void answer(connection_id id, host_id from, micros patience);
  void fill(connection_id id, int to_end);
  void schedule(connection_id id, int to_end);
  void deliver(connection_id id, int to_end);
  void lose(connection_id id, int end, const std::string& why);
  void fail(connection_id id, host_id from, const std::string& why);
  bool blocked(host_id from, host_id to) const { return blocked_.contains({from, to}); }
  micros latency() { return world_.between(50, options_.latency_max); }

  world& world_;
  const network_options options_;
  std::map<host_id, host*> hosts_;
  std::map<connection_id, connection> connections_;
  std::set<std::pair<host_id, host_id>> blocked_;
  connection_id next_id_ = 1;
  std::size_t waiting_max_ = 0;
};

}  // namespace tandem::sim
