// A server under measurement as the tools see it: what its `stats` say and what the kernel says of
// its process, which runs on this machine.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>

#include "tests/bench/client.h"

namespace tandem::bench {

struct server_state {
  std::uint64_t pid = 0, limit_bytes = 0, items = 0, item_bytes = 0, evictions = 0;
  std::uint64_t no_memory = 0, too_large = 0;  // stores refused
};

inline server_state read_state(client& from) {
  const auto rows = from.stats();
  server_state state;
  state.pid = number_of(rows, "pid");
  state.limit_bytes = number_of(rows, "limit_maxbytes");
  state.items = number_of(rows, "curr_items");
  state.item_bytes = number_of(rows, "bytes");
  state.evictions = number_of(rows, "evictions");
  state.no_memory = number_of(rows, "store_no_memory");
  state.too_large = number_of(rows, "store_too_large");
  if (state.pid == 0 || state.limit_bytes == 0) give_up("stats without pid or limit_maxbytes");
  return state;
}

// Bytes of a row of /proc/PID/status: VmRSS, resident memory; VmHWM, the most there ever was.
inline std::uint64_t process_bytes(std::uint64_t pid, const std::string& row) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(row + ':'))
      return std::strtoull(line.c_str() + row.size() + 1, nullptr, 10) << 10;
  }
  give_up("/proc/" + std::to_string(pid) + "/status has no " + row);
}

// Samples a process's resident memory from its own thread, all through its life. (VmHWM alone would
// do for the maximum, but not where the server ran before.)
class resident_watch {
 public:
  explicit resident_watch(std::uint64_t pid) : pid_(pid), thread_([this] { run(); }) {}
  ~resident_watch() {
    stopped_ = true;
    thread_.join();
  }
  resident_watch(const resident_watch&) = delete;
  resident_watch& operator=(const resident_watch&) = delete;

  std::uint64_t max_bytes() {
    sample();
    return max_;
  }
  std::uint64_t samples() const { return samples_; }

 private:
  void sample() {
    const std::uint64_t now = process_bytes(pid_, "VmRSS");
    std::uint64_t before = max_;
    while (before < now && !max_.compare_exchange_weak(before, now)) {
    }
    ++samples_;
  }
  void run() {
    while (!stopped_) {
      sample();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  const std::uint64_t pid_;
  std::atomic<bool> stopped_{false};
  std::atomic<std::uint64_t> max_{0};
  std::atomic<std::uint64_t> samples_{0};
  std::thread thread_;  // the last member: it uses the others
};

}  // namespace tandem::bench
