// The way to the memcached that keeps the data, by its address: HOST:PORT, or a UNIX socket's path.
// One thread's.
#pragma once

#include <memory>

#include "config/options.h"
#include "proxy/asio.h"
#include "proxy/dialer.h"

namespace tandem::proxy {

class backend_dialer {
 public:
  // The options and the context outlive it.
  backend_dialer(asio::io_context& context, const config::backend_options& options);
  ~backend_dialer() { cancel(); }
  backend_dialer(const backend_dialer&) = delete;
  backend_dialer& operator=(const backend_dialer&) = delete;

  // `done` is called once, with a UNIX socket from within start(); what it gets does not block. One
  // attempt at a time.
  void start(dialer::handler done);
  // The attempt under way, if any, does not report.
  void cancel();

 private:
  asio::io_context& context_;
  const config::backend_options& options_;
  std::shared_ptr<dialer> dialer_;  // null: a UNIX socket
};

}  // namespace tandem::proxy
