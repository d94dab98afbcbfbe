// Programs that the operator wants run when the role changes (YAML `hooks`). They run one at a
// time, in order, each in a process group of its own: standard input is /dev/null, what it writes
// goes to the log, and the environment says what has happened (MEMTANDEM_HOOK, _ROLE, _TERM, _PEER,
// _REASON, ...). One that has not ended within `timeout` is killed with its group.
//
// Limits: queue_max hooks wait; lines_max lines of line_bytes_max bytes each are logged of a run.
// The runner has a thread of its own, so that nothing else ever waits for a program.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/replication/event.h"
#include "config/options.h"

namespace tandem::proxy {

class hook_runner {
 public:
  static constexpr std::size_t queue_max = 16;
  static constexpr std::size_t lines_max = 200;
  static constexpr std::size_t line_bytes_max = 500;

  // Called once for each run, in the runner's thread or in run()'s. `how` it ended, where that was
  // not exit status 0: that, a signal, the time limit, or that it could not be started.
  using done_handler = std::function<void(std::uint64_t id, bool ok, std::string how)>;

  hook_runner(const config::hook_options& options, done_handler done);
  ~hook_runner();
  hook_runner(const hook_runner&) = delete;
  hook_runner& operator=(const hook_runner&) = delete;

  // Any thread.
  void run(replication::effect::run_hook what);
  // Kills what runs, forgets what waits, and waits for the thread. No handler is called afterwards.
  void stop();

 private:
  const std::vector<std::string>& program_of(replication::hook which) const;
  void work();
  void execute(const replication::effect::run_hook& job);
  // Waits for the end of the process; empty: exit status 0.
  std::string watch(pid_t process, int output, const std::string& name);
  bool stopping();

  const config::hook_options options_;
  const done_handler done_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<replication::effect::run_hook> queue_;  // under mutex_
  bool stopping_ = false;                            // under mutex_
  std::thread thread_;
};

}  // namespace tandem::proxy
