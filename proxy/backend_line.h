// A connection to the memcached that keeps the data, beside those of the lanes: for questions about
// it, not about its items. And a wait that can be given up. One thread's.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "common/base/byte_buffer.h"
#include "config/options.h"
#include "proxy/asio.h"
#include "proxy/backend_dialer.h"

namespace tandem::proxy {

class backend_line {
 public:
  // `why`: it failed; empty: it did not.
  using handler = std::function<void(const std::string& why)>;
  using read_handler = std::function<void(std::size_t bytes, const std::string& why)>;

  // The options and the context outlive it.
  backend_line(asio::io_context& context, const config::backend_options& options);

  // Dials anew; nothing is received. With a UNIX socket `done` is called from within.
  void open(handler done);
  // Of a few bytes; returns why it failed.
  std::string send(std::string_view request);
  // Receives more, about `most` bytes at the most. One at a time.
  void read(std::size_t most, read_handler done);
  // What was received, for the caller to consume.
  byte_buffer& received() noexcept { return in_; }
  // No handler that was given before is called any more.
  void close();

 private:
  tcp_socket socket_;
  backend_dialer dialer_;
  unsigned attempt_ = 0;
  byte_buffer in_;
};

class single_wait {
 public:
  explicit single_wait(asio::io_context& context) : timer_(context) {}

  // Calls `then` once, unless this or cancel() is called before.
  void start(std::chrono::microseconds duration, std::function<void()> then);
  void cancel();

 private:
  steady_timer timer_;
  unsigned number_ = 0;
};

}  // namespace tandem::proxy
