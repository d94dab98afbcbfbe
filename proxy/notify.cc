#include "proxy/notify.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace tandem::proxy {
namespace {

// Called in main's thread before any other starts.
std::string_view variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
  return value == nullptr ? std::string_view{} : value;
}

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? value : 0;
}

}  // namespace

notifier::notifier(std::int64_t pid) {
  const std::string_view path = variable("NOTIFY_SOCKET");
  sockaddr_un address{};
  // An absolute path, or an abstract name that begins with @.
  if (path.size() < 2 || path.size() >= sizeof address.sun_path ||
      (path[0] != '/' && path[0] != '@'))
    return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = '\0';
  // Connected at once: under a sandbox the path may be out of reach later.
  socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  // It may be busy for a moment; a loop must not wait for it longer than that.
  const timeval patience{.tv_sec = 0, .tv_usec = 200'000};
  if (socket_ >= 0) ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  if (socket_ >= 0 &&
      ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    ::close(socket_);
    socket_ = -1;
  }
  const std::int64_t period = number(variable("WATCHDOG_USEC"));
  const std::string_view watched = variable("WATCHDOG_PID");
  if (socket_ >= 0 && period > 0 && (watched.empty() || number(watched) == pid))
    watchdog_period_ = std::chrono::microseconds(period);
}

notifier::~notifier() {
  if (socket_ >= 0) ::close(socket_);
}

void notifier::send(std::string_view assignments) const noexcept {
  // A service manager that does not listen is not a reason to stop.
  if (socket_ >= 0) ::send(socket_, assignments.data(), assignments.size(), MSG_NOSIGNAL);
}

bool loop_watch::beat() {
  bool alive = true;
  for (watched& w : loops_) {
    if (!w.answered->exchange(false)) {
      alive = false;  // still has the last call to make
      continue;
    }
    w.loop([answered = w.answered] { answered->store(true); });
  }
  return alive;
}

}  // namespace tandem::proxy
