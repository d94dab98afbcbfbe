// Notices writes that go round this process to the memcached that keeps the data, where that shows
// them to a watcher (backend/change_log.h): they are not replicated. They are counted, and warned
// of. The control thread's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/backend/change_log.h"
#include "common/service/sidecar.h"
#include "proxy/asio.h"
#include "proxy/backend_line.h"
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
  void ask(const std::string& why);
  void read();
  void read_later(std::size_t received);
  bool take_lines();
  void fail(const std::string& why);
  void look_later();
  void look();
  void probe();

  backend_pool& pool_;
  service::sidecar& data_;
  std::uint64_t secret_;
  bool runs_ = false;
  backend_line line_;
  single_wait next_;   // look, or attempt
  single_wait pause_;  // between reads
  bool accepted_ = false;
  std::unique_ptr<backend::bypass_watch> changes_;
  std::uint64_t told_ = 0;    // of what it has counted
  std::uint64_t unsaid_ = 0;  // in the log
  rarely warnings_{std::chrono::seconds(10)};
};

}  // namespace tandem::proxy
