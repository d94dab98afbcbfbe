// Keeps the clock of the memcached that keeps the data (backend/clock.h): asks for the time on a
// connection of its own, often for a second after it was connected, and then a few times a minute,
// for a memcached's ticks drift. The control thread's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "common/backend/clock.h"
#include "common/service/sidecar.h"
#include "proxy/asio.h"
#include "proxy/backend_line.h"
#include "proxy/backend_pool.h"

namespace tandem::proxy {

class backend_clock {
 public:
  // The rest outlives it.
  backend_clock(asio::io_context& context, backend_pool& pool, service::sidecar& data);

  // All lanes are open; again does nothing. And: one is not any more.
  void start();
  void stop();
  // Whether the times of what the memcached holds can be read: it holds nothing, or its clock is
  // known, or cannot be.
  bool can_list() const noexcept;

 private:
  void connect();
  void ask();
  void read();
  void heard(const backend::process_reading& what);
  void settle();
  void ask_later(std::chrono::microseconds pause);
  void fail(const std::string& why);

  backend_pool& pool_;
  service::sidecar& data_;
  bool runs_ = false;
  backend_line line_;
  single_wait wait_;
  wall_time asked_{};
  steady_time settles_at_{};  // at the latest
  backend::clock_meter meter_;
  std::optional<backend::process_reading> last_;  // of this start
  std::uint64_t pid_ = 0;                         // whose clock was known
  bool known_ = false;                            // of this process, when it was connected
  bool checks_late_ = false;
};

}  // namespace tandem::proxy
