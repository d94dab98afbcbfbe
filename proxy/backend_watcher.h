// Notices writes that go round this process to the memcached that keeps the data, where that shows
// them to a watcher (backend/change_log.h): they are not replicated. They are counted, and warned
// of. The control thread's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/backend/change_log.h"
#include "common/base/byte_buffer.h"
#include "common/service/sidecar.h"
#include "proxy/asio.h"
#include "proxy/backend_dialer.h"
#include "proxy/backend_pool.h"
#include "proxy/log.h"

namespace tandem::proxy {

class backend_watcher {
 public:
  // The rest outlives it. `secret`: any number that others do not know.
  backend_watcher(asio::io_context& context, backend_pool& pool, service::sidecar& data,
                  std::uint64_t secret);

  // All lanes are open, and later: one is not.
  void start();
  void stop();

 private:
  void ask(tcp_socket socket, const std::string& why);
  void read();
  void read_later(std::size_t received);
  bool take_lines();
  void fail(const std::string& why);
  void look_later();
  void look();
  void probe();

  asio::io_context& context_;
  backend_pool& pool_;
  service::sidecar& data_;
  std::uint64_t secret_;
  bool runs_ = false;
  unsigned attempt_ = 0;  // handlers of an earlier one are void
  tcp_socket socket_;
  backend_dialer dialer_;
  steady_timer timer_;  // of looks, and of the next attempt
  steady_timer pause_;  // between reads
  byte_buffer in_;
  bool accepted_ = false;
  std::unique_ptr<backend::bypass_watch> changes_;
  std::uint64_t told_ = 0;    // of what it has counted
  std::uint64_t unsaid_ = 0;  // in the log
  rarely warnings_{std::chrono::seconds(10)};
};

}  // namespace tandem::proxy
