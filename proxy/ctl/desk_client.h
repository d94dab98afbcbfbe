// Talks to a node through its control socket (proxy/control.h): a command out, its answer back.
// Blocks. One thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::ctl {

struct desk_answer {
  enum class result { done, refused, unreachable };
  result what = result::unreachable;
  std::vector<std::string> lines;  // when done
  std::string error;               // else: why
};

class desk_client {
 public:
  explicit desk_client(std::string path) : path_(std::move(path)) {}
  ~desk_client();
  desk_client(const desk_client&) = delete;
  desk_client& operator=(const desk_client&) = delete;

  // Connects if it is not connected. A connection that turns out to be lost is made once more. The
  // answer may take up to `limit`.
  desk_answer ask(std::string_view command, std::chrono::seconds limit);
  const std::string& path() const noexcept { return path_; }

 private:
  bool connect(std::string& error);
  void close() noexcept;
  bool exchange(std::string_view command, std::chrono::seconds limit, desk_answer& to);
  bool read_more(std::chrono::steady_clock::time_point until, std::string& error);

  const std::string path_;
  int socket_ = -1;
  std::string input_;
};

}  // namespace tandem::ctl
