// A blocking client of memcached's text protocol for the measuring tools: requests are appended to
// out() and sent by flush(), replies are read in order. Every failure of the socket ends the tool
// (exit status 2): a measurement over a broken connection is none.
//
// It cannot deadlock, however much is pipelined: while the server does not read, flush() takes the
// replies that it writes. One thread.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>

namespace tandem::bench {

[[noreturn]] inline void give_up(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(2);
}

[[noreturn]] inline void give_up_on(const std::string& call) {
  give_up(call + ": " + std::strerror(errno));
}

class client {
 public:
  client(const std::string& host, std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    if (::inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1)
      give_up("--host wants an IPv4 address, not " + host);
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
    if (fd_ < 0 || ::connect(fd_, generic, sizeof address) != 0)
      give_up_on("connect to " + host + ':' + std::to_string(port));
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~client() { ::close(fd_); }
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  // Requests not yet sent; append to it.
  std::string& out() { return out_; }

  void flush() {
    for (std::size_t sent = 0; sent < out_.size();) {
      const ssize_t n =
          ::send(fd_, out_.data() + sent, out_.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) {
        sent += static_cast<std::size_t>(n);
        continue;
      }
      if (errno != EAGAIN) give_up_on("send");
      pollfd ready{fd_, POLLIN | POLLOUT, 0};
      if (::poll(&ready, 1, -1) < 0) give_up_on("poll");
      if ((ready.revents & POLLIN) != 0) receive();
    }
    out_.clear();
  }

  // The next line of the replies without its end, or the next `count` bytes. Valid until the next
  // call of either, or of flush().
  std::string_view line() {
    for (std::size_t searched = 0;;) {
      const std::string_view rest = unread();
      const std::size_t end = rest.find("\r\n", searched);
      if (end != std::string_view::npos) {
        parsed_ += end + 2;
        return rest.substr(0, end);
      }
      searched = rest.empty() ? 0 : rest.size() - 1;
      receive();
    }
  }
  std::string_view exactly(std::size_t count) {
    while (unread().size() < count) receive();
    const std::string_view bytes = unread().substr(0, count);
    parsed_ += count;
    return bytes;
  }

  // Waits until the server has carried out everything sent: noreply requests have no other end.
  void sync() {
    out_ += "version\r\n";
    flush();
    if (const std::string_view got = line(); !got.starts_with("VERSION "))
      give_up("version answered: " + std::string(got));
  }

  std::map<std::string, std::string> stats() {
    out_ += "stats\r\n";
    flush();
    std::map<std::string, std::string> rows;
    for (std::string_view row = line(); row != "END"; row = line()) {
      const std::size_t name_end = row.find(' ', 5);
      if (!row.starts_with("STAT ") || name_end == std::string_view::npos)
        give_up("stats answered: " + std::string(row));
      rows.emplace(row.substr(5, name_end - 5), row.substr(name_end + 1));
    }
    return rows;
  }

 private:
  std::string_view unread() const {
    return std::string_view(in_).substr(parsed_, filled_ - parsed_);
  }

  // Waits for bytes and takes those that came.
  void receive() {
    constexpr std::size_t room = std::size_t{256} << 10;
    if (parsed_ > 0) {
      std::memmove(in_.data(), in_.data() + parsed_, filled_ - parsed_);
      filled_ -= parsed_;
      parsed_ = 0;
    }
    if (in_.size() < filled_ + room) in_.resize(2 * (filled_ + room));
    const ssize_t n = ::recv(fd_, in_.data() + filled_, in_.size() - filled_, 0);
    if (n < 0) give_up_on("receive");
    if (n == 0) give_up("the server closed the connection");
    filled_ += static_cast<std::size_t>(n);
  }

  int fd_ = -1;
  std::string out_;
  std::string in_;  // what was received lies in [parsed_, filled_)
  std::size_t parsed_ = 0;
  std::size_t filled_ = 0;
};

// A row of `stats` as a number; 0 when it is missing or no number.
inline std::uint64_t number_of(const std::map<std::string, std::string>& rows,
                               const std::string& name) {
  std::uint64_t value = 0;
  const auto found = rows.find(name);
  if (found != rows.end())
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return value;
}

}  // namespace tandem::bench
