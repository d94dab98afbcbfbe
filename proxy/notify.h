// What systemd wants to hear of a service: readiness, a status sentence and a sign of life
// (sd_notify(3)), without libsystemd. Does nothing when the service manager did not ask.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::proxy {

// A datagram socket to the service manager. Any thread after it is made.
class notifier {
 public:
  // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. `pid`: of the process that will serve.
  explicit notifier(std::int64_t pid);
  ~notifier();
  notifier(const notifier&) = delete;
  notifier& operator=(const notifier&) = delete;

  bool wanted() const noexcept { return socket_ >= 0; }
  // Assignments, a line each: "READY=1", "STATUS=...".
  void send(std::string_view assignments) const noexcept;
  // How long the service manager waits for a sign of life; 0: it does not.
  std::chrono::microseconds watchdog_period() const noexcept { return watchdog_period_; }

 private:
  int socket_ = -1;
  std::chrono::microseconds watchdog_period_{0};
};

// Tells whether every event loop still turns: hands each a call and sees whether it was made by the
// next time it is asked. One thread; the calls run in the loops.
class loop_watch {
 public:
  // Runs a function in a loop, soon.
  using poster = std::function<void(std::function<void()>)>;

  void add(poster loop) { loops_.push_back({std::move(loop), std::make_shared<state>(true)}); }
  // True if every loop made the call of the last beat (or there was none yet).
  bool beat();

 private:
  using state = std::atomic<bool>;
  struct watched {
    poster loop;
    std::shared_ptr<state> answered;  // outlives this when a call is still under way
  };
  std::vector<watched> loops_;
};

}  // namespace tandem::proxy
