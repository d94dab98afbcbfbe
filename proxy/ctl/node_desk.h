// Where memtandemctl puts what it has to ask a node: its control socket on this machine, or its
// admin port anywhere. Commands are those of the control socket (proxy/control.h,
// proxy/operator_desk.h).
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

constexpr std::chrono::seconds short_limit{10};  // for what is answered at once

// Blocks. One thread.
class node_desk {
 public:
  node_desk() = default;
  virtual ~node_desk() = default;
  node_desk(const node_desk&) = delete;
  node_desk& operator=(const node_desk&) = delete;

  // The answer may take up to `limit`. What was not answered in time may have been carried out, and
  // is not said again.
  virtual desk_answer ask(std::string_view command, std::chrono::seconds limit) = 0;
};

}  // namespace tandem::ctl
