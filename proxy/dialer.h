// Connects to a host again and again: looks its name up each time (pods move), tries the addresses
// in turn and reports once per attempt. The link's thread only.
//
// A lookup cannot be ended. One that outlasts its attempt serves the next one, so there is never
// more than one under way and a slow name server only makes connecting slower.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/options.h"
#include "proxy/address.h"
#include "proxy/asio.h"

namespace tandem::proxy {

// Held by shared_ptr: operations under way keep it alive.
class dialer : public std::enable_shared_from_this<dialer> {
 public:
  // The connected socket, or a closed one and why.
  using handler = std::function<void(tcp_socket socket, const std::string& reason)>;

  dialer(asio::io_context& context, config::endpoint peer, peer_trust trust,
         std::chrono::milliseconds timeout);

  // `done` is called once within `timeout`, never from within start(); one attempt at a time.
  void start(handler done);
  // The attempt under way, if any, does not report.
  void cancel();
  // A thread may be waiting for a name server. Any thread, once the loop has ended.
  bool looking_up() const noexcept { return looking_up_; }

 private:
  void look_up();
  void next();
  void finish(const std::string& reason);

  asio::io_context& context_;
  const config::endpoint peer_;
  const peer_trust trust_;
  const std::chrono::milliseconds timeout_;
  tcp_resolver resolver_;
  tcp_socket socket_;
  steady_timer timer_;
  handler done_;                          // empty: no attempt is under way
  std::vector<tcp::endpoint> addresses_;  // left to try, from tried_ on
  std::size_t tried_ = 0;
  std::string last_reason_;
  bool looking_up_ = false;
};

}  // namespace tandem::proxy
