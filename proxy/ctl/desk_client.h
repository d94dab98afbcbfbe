// Talks to a node of this machine through its control socket: a command out, its answer back.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "proxy/ctl/node_desk.h"

namespace tandem::ctl {

class desk_client final : public node_desk {
 public:
  explicit desk_client(std::string path) : path_(std::move(path)) {}
  ~desk_client() override;

  // Connects if it is not connected. A connection that turns out to be lost is made once more.
  desk_answer ask(std::string_view command, std::chrono::seconds limit) override;

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
