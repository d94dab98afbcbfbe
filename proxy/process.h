// The daemon as a Unix process: background, limits, user, pid file. Used by main, before any thread
// is started. Whatever the system refuses is a start_error.
#pragma once

#include <sys/types.h>

#include <string>

#include "config/options.h"

namespace tandem::proxy {

// -d. The foreground process stays until the background one says how its start went, so that its
// exit status is the daemon's: a script that goes on after it finds the port open.
class background {
 public:
  // In the background. Foreground caller: nothing is forked.
  static background stay() { return background(-1); }
  // Forks. The parent does not return: it exits with 0 after ready(), or else with the exit status
  // of the child. Must be called before anything that does not survive a fork is made.
  static background detach();

  background(background&& other) noexcept : report_(other.report_) { other.report_ = -1; }
  background& operator=(background&&) = delete;
  ~background();

  bool detached() const noexcept { return report_ >= 0; }
  // The daemon is up: lets the parent go. As memcached's -d: standard input, output and error go to
  // /dev/null unless `keep_output` (-v), and the working directory to / unless `keep_directory` (a
  // core dump needs one it may write to).
  void ready(bool keep_output, bool keep_directory);

 private:
  explicit background(int report) : report_(report) {}
  int report_;  // the pipe's writing end; -1: in the foreground or done
};

// Holds a lock on the file for as long as the process lives, so that a stale file, left by a crash,
// is told from a live one: the former is overwritten, the latter is an error.
class pid_file {
 public:
  // Writes the process's id. `path` empty: no file.
  explicit pid_file(const std::string& path);
  ~pid_file();  // removes the file
  pid_file(const pid_file&) = delete;
  pid_file& operator=(const pid_file&) = delete;

  // Makes the file the property of the user that the daemon becomes.
  void give_to(uid_t user, gid_t group) const;

 private:
  std::string path_;
  int descriptor_ = -1;
};

struct identity {
  uid_t user;
  gid_t group;
  std::string name;
};

// The user to become. Root must name one, be it root itself; for anybody else -u is ignored, as
// memcached does.
identity find_identity(const std::string& user);
void become(const identity& who);

// -r: core dumps as large as they come.
void allow_core_dumps();
// -k: nothing of the process is ever swapped out, now or later.
void lock_memory();
// Lets go of the program's code in memory, most of which only the start has needed: what runs on
// comes back from the page cache. No effect on locked memory.
void release_code() noexcept;
// Raises the limit of open files to `clients` and, if the system lets it, so many `beside`.
void allow_open_files(std::size_t clients, std::size_t beside);
// A peer that has gone must be an error of a write, not the end of the process.
void ignore_broken_pipes();

}  // namespace tandem::proxy
