#include "proxy/ctl/server_socket.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>

#include "config/options.h"
#include "config/text.h"

namespace tandem::ctl {

namespace {

std::string because_of(const std::string& server, int code) {
  if (code == EINPROGRESS) code = ETIMEDOUT;  // what connect() says after SO_SNDTIMEO
  return server + ": " + std::generic_category().message(code);
}

}  // namespace

int connect_unix(const std::string& path) {
  sockaddr_un where{};
  where.sun_family = AF_UNIX;
  if (path.size() >= sizeof where.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  std::memcpy(where.sun_path, path.c_str(), path.size() + 1);
  const int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (made < 0 || ::connect(made, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0)
    return made;
  const int code = errno;
  ::close(made);
  errno = code;
  return -1;
}

server_socket::~server_socket() {
  if (socket_ >= 0) ::close(socket_);
}

void server_socket::limit(std::chrono::milliseconds patience) noexcept {
  constexpr long per_second = 1000;
  const timeval time{.tv_sec = patience.count() / per_second,
                     .tv_usec = patience.count() % per_second * per_second};
  for (const int which : {SO_RCVTIMEO, SO_SNDTIMEO})
    (void)::setsockopt(socket_, SOL_SOCKET, which, &time, sizeof time);
}

std::string server_socket::connect(const std::string& server, std::chrono::milliseconds patience) {
  if (server.starts_with('/')) {
    socket_ = connect_unix(server);
    return socket_ < 0 ? because_of(server, errno) : "";
  }
  config::endpoint where;
  if (std::string wrong = config::parse_endpoint(server, where); !wrong.empty()) return wrong;
  if (where.port == 0) where.port = config::listen_options{}.port;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed =
      ::getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &hints, &found);
  if (failed != 0) return server + ": " + ::gai_strerror(failed);
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(found, &::freeaddrinfo);
  int code = EHOSTUNREACH;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    socket_ = ::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_ >= 0 && patience.count() > 0) limit(patience);
    if (socket_ >= 0 && ::connect(socket_, each->ai_addr, each->ai_addrlen) == 0) {
      const int on = 1;
      (void)::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return "";
    }
    code = errno;
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  return because_of(server, code);
}

bool server_socket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool server_socket::line(std::string& to) {
  for (;;) {
    if (const std::size_t end = input_.find('\n'); end != std::string::npos) {
      to = input_.substr(0, end);
      input_.erase(0, end + 1);
      if (to.ends_with('\r')) to.pop_back();
      return true;
    }
    char buffer[4096];
    const ssize_t n = ::recv(socket_, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    input_.append(buffer, static_cast<std::size_t>(n));
  }
}

int server_socket::release() noexcept {
  return std::exchange(socket_, -1);
}

}  // namespace tandem::ctl
