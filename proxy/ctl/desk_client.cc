#include "proxy/ctl/desk_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "proxy/ctl/server_socket.h"
#include "proxy/ctl/text.h"

namespace tandem::ctl {

desk_client::~desk_client() {
  close();
}

void desk_client::close() noexcept {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  input_.clear();
}

bool desk_client::connect(std::string& error) {
  socket_ = connect_unix(path_);
  if (socket_ >= 0) return true;
  error = path_ + ": " + message_of(errno);
  return false;
}

bool desk_client::read_more(std::chrono::steady_clock::time_point until, std::string& error) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  pollfd wait{socket_, POLLIN, 0};
  const int ready = ::poll(&wait, 1, static_cast<int>(std::max<long>(left.count(), 0)));
  if (ready < 0 && errno == EINTR) return true;
  if (ready <= 0) {
    error = path_ + (ready == 0 ? ": no answer in time" : ": " + message_of(errno));
    return false;
  }
  char buffer[4096];
  const ssize_t n = ::recv(socket_, buffer, sizeof buffer, 0);
  if (n <= 0) {
    error = path_ + (n == 0 ? ": the node closed the connection" : ": " + message_of(errno));
    return false;
  }
  input_.append(buffer, static_cast<std::size_t>(n));
  return true;
}

// False: the connection is of no more use.
bool desk_client::exchange(std::string_view command, std::chrono::seconds limit, desk_answer& to) {
  std::string line(command);
  line += '\n';
  if (::send(socket_, line.data(), line.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(line.size())) {
    to.error = path_ + ": " + message_of(errno);
    return false;
  }
  const auto until = std::chrono::steady_clock::now() + limit;
  for (;;) {
    for (std::size_t end; (end = input_.find('\n')) != std::string::npos;) {
      std::string one = input_.substr(0, end);
      input_.erase(0, end + 1);
      if (one == "OK") {
        to.what = desk_answer::result::done;
        return true;
      }
      if (one.starts_with("ERROR ")) {
        to.what = desk_answer::result::refused;
        to.error = one.substr(6);
        return true;
      }
      to.lines.push_back(std::move(one));
    }
    if (!read_more(until, to.error)) return false;
  }
}

desk_answer desk_client::ask(std::string_view command, std::chrono::seconds limit) {
  const bool kept = socket_ >= 0;
  desk_answer to;
  if (!kept && !connect(to.error)) return to;
  const auto until = std::chrono::steady_clock::now() + limit;
  if (exchange(command, limit, to)) return to;
  close();
  // A connection that was idle for long has been closed by the node; nothing was carried out then.
  // Of a node that did not answer in time that is not known.
  if (!kept || !to.lines.empty() || std::chrono::steady_clock::now() >= until) return to;
  to = {};
  if (connect(to.error) && !exchange(command, limit, to)) close();
  return to;
}

}  // namespace tandem::ctl
