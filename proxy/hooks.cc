#include "proxy/hooks.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "config/text.h"
#include "proxy/log.h"

namespace tandem::proxy {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Between two looks at a process whose output is held open by somebody else.
constexpr milliseconds poll_interval{20};
constexpr int first_inherited = 3;
constexpr unsigned reads_max = 16;  // between two looks

// What a program writes, a line at a time, as far as it is worth a log.
class output_log {
 public:
  explicit output_log(const std::string& name) : name_(name) {}

  // What is there, if not without end. False: the end.
  bool read(int from) {
    for (unsigned i = 0; i < reads_max; ++i) {
      std::array<char, 4096> buffer;
      const ssize_t n = ::read(from, buffer.data(), buffer.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return errno == EAGAIN;
      if (n == 0) return false;
      for (ssize_t at = 0; at < n; ++at) add(buffer[static_cast<std::size_t>(at)]);
    }
    return true;
  }

  void end_line() {
    if (line_.empty()) return;
    if (lines_++ < hook_runner::lines_max) spdlog::info("hook {}: {}", name_, line_);
    if (lines_ == hook_runner::lines_max + 1)
      spdlog::warn("hook {}: it writes more than is logged", name_);
    line_.clear();
  }

 private:
  void add(char c) {
    if (c == '\n') return end_line();
    if (line_.size() >= hook_runner::line_bytes_max) return;
    line_ += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }

  const std::string& name_;
  std::string line_;
  std::size_t lines_ = 0;
};

class pipe_ends {
 public:
  pipe_ends() {
    if (::pipe2(ends_, O_CLOEXEC) != 0) ends_[0] = ends_[1] = -1;
  }
  ~pipe_ends() {
    close_end(0);
    close_end(1);
  }
  pipe_ends(const pipe_ends&) = delete;
  pipe_ends& operator=(const pipe_ends&) = delete;
  bool ok() const { return ends_[0] >= 0; }
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void close_writer() { close_end(1); }

 private:
  void close_end(int which) {
    if (ends_[which] >= 0) ::close(ends_[which]);
    ends_[which] = -1;
  }
  int ends_[2];
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_of(const replication::effect::run_hook& job) {
  std::vector<std::string> all;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry)
    all.emplace_back(*entry);
  for (const auto& [name, value] : job.variables) all.push_back("MEMTANDEM_" + name + "=" + value);
  return all;
}

// The process's id, or -errno.
pid_t spawn(std::vector<std::string> program, std::vector<std::string> environment, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  // Sockets of clients and of the peer are none of its business.
  ::posix_spawn_file_actions_addclosefrom_np(&actions, first_inherited);
  sigset_t none, ignored;
  ::sigemptyset(&none);
  ::sigemptyset(&ignored);
  ::sigaddset(&ignored, SIGPIPE);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &ignored);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t process = 0;
  const std::vector<char*> arguments = pointers(program);
  const std::vector<char*> variables = pointers(environment);
  const int error = ::posix_spawn(&process, program.front().c_str(), &actions, &attributes,
                                  arguments.data(), variables.data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  return error == 0 ? process : -error;
}

std::string ending(int status) {
  if (WIFEXITED(status))
    return WEXITSTATUS(status) == 0 ? "" : "exit status " + std::to_string(WEXITSTATUS(status));
  return "ended by signal " + std::to_string(WTERMSIG(status));
}

// Ends the process with all that it has started, and buries it.
void kill_group(pid_t process) {
  ::kill(-process, SIGKILL);
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

hook_runner::hook_runner(const config::hook_options& options, done_handler done)
    : options_(options), done_(std::move(done)) {
  for (const auto* program :
       {&options_.pre_promote, &options_.post_promote, &options_.post_demote, &options_.split_heal})
    if (!program->empty() && ::access(program->front().c_str(), X_OK) != 0)
      spdlog::warn("hooks: {} cannot be executed: {}", program->front(), std::strerror(errno));
}

hook_runner::~hook_runner() {
  stop();
}

const std::vector<std::string>& hook_runner::program_of(replication::hook which) const {
  switch (which) {
    case replication::hook::pre_promote:
      return options_.pre_promote;
    case replication::hook::post_promote:
      return options_.post_promote;
    case replication::hook::post_demote:
      return options_.post_demote;
    case replication::hook::split_heal:
      break;
  }
  return options_.split_heal;
}

void hook_runner::run(replication::effect::run_hook what) {
  const std::uint64_t id = what.id;
  {
    const std::lock_guard guard(mutex_);
    if (stopping_) return;
    if (queue_.size() < queue_max) {
      queue_.push_back(std::move(what));
      if (!thread_.joinable()) {
        // With the first, as most nodes never need it.
        thread_ = std::thread([this] { work(); });
        ::pthread_setname_np(thread_.native_handle(), "hooks");
      }
      wake_.notify_one();
      return;
    }
  }
  spdlog::warn("hook {}: left out, too many are waiting", to_string(what.which));
  done_(id, false, "too many hooks are waiting");
}

void hook_runner::stop() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
    queue_.clear();
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

bool hook_runner::stopping() {
  const std::lock_guard guard(mutex_);
  return stopping_;
}

void hook_runner::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    const replication::effect::run_hook job = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    execute(job);
    lock.lock();
  }
}

void hook_runner::execute(const replication::effect::run_hook& job) {
  const std::string name(to_string(job.which));
  const auto report = [&](const std::string& how) {
    if (!how.empty()) spdlog::warn("hook {}: {}", name, how);
    if (!stopping()) done_(job.id, how.empty(), how);
  };
  const std::vector<std::string>& program = program_of(job.which);
  pipe_ends output;
  if (program.empty() || !output.ok()) return report("it could not be started");
  ::fcntl(output.reader(), F_SETFL, O_NONBLOCK);
  const pid_t process = spawn(program, environment_of(job), output.writer());
  output.close_writer();
  if (process < 0)
    return report("it could not be started: " + std::string(std::strerror(-process)));
  spdlog::debug("hook {}: started, process {}", name, process);
  report(watch(process, output.reader(), name));
}

std::string hook_runner::watch(pid_t process, int output, const std::string& name) {
  const auto by = steady_clock::now() + options_.timeout;
  output_log log(name);
  bool open = true;
  for (;;) {
    pollfd waits{output, POLLIN, 0};
    ::poll(&waits, open ? 1 : 0, static_cast<int>(poll_interval.count()));
    if (open) open = log.read(output);
    int status = 0;
    if (::waitpid(process, &status, WNOHANG) == process) {
      // What it has written last may have come since.
      if (open) log.read(output);
      log.end_line();
      return ending(status);
    }
    const bool late = steady_clock::now() >= by;
    if (!late && !stopping()) continue;
    kill_group(process);
    log.end_line();
    return late ? "killed: it did not end within " +
                      config::format_duration(options_.timeout.count())
                : "killed: the node stops";
  }
}

}  // namespace tandem::proxy
