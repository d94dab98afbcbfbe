// The log: lines to standard error or to a file, through spdlog's default logger. Set up once in
// main; afterwards any thread may log, reopen and change the level.
//
// A line holds a time, a level and a text. When standard error is a journal's stream it holds the
// priority that sd-daemon(3) describes instead, because the journal knows the time. Never a value;
// a key only at debug.
#pragma once

#include <spdlog/spdlog.h>

#include <chrono>
#include <string>

#include "common/replication/event.h"

namespace tandem::proxy {

// verbosity: 0 information, 1 debug, 2 and more trace. `file` empty: standard error. Throws
// start_error when the file cannot be opened.
void open_log(const std::string& file, int verbosity);
// Opens the file anew, after logrotate has moved it. Stays with the old one if that fails.
void reopen_log();
void set_log_verbosity(int verbosity);
int log_verbosity() noexcept;

// For lines that a stranger could cause again and again: now() is true at most once per interval.
// One thread.
class rarely {
 public:
  explicit rarely(std::chrono::steady_clock::duration interval) : interval_(interval) {}
  bool now() {
    const auto at = std::chrono::steady_clock::now();
    if (at < next_) return false;
    next_ = at + interval_;
    return true;
  }

 private:
  const std::chrono::steady_clock::duration interval_;
  std::chrono::steady_clock::time_point next_{};
};

// What the replication core has to say.
void log_note(replication::effect::level severity, std::string text);

}  // namespace tandem::proxy
