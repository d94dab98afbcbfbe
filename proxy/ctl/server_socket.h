// Blocking connections to a node: its client port, and any UNIX socket. One thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace tandem::ctl {

// A descriptor, or -1 with errno.
int connect_unix(const std::string& path);

class server_socket {
 public:
  server_socket() = default;
  ~server_socket();
  server_socket(const server_socket&) = delete;
  server_socket& operator=(const server_socket&) = delete;

  // HOST:PORT, or a path of a UNIX socket. What went wrong, or "". Each address of a host is tried
  // for `patience` at the most; 0: as long as the system does.
  std::string connect(const std::string& server, std::chrono::milliseconds patience = {});
  // Every later call that waits for the other side gives up after this.
  void limit(std::chrono::milliseconds patience) noexcept;
  bool send(std::string_view bytes);
  // The next line without its end; false when the connection is over.
  bool line(std::string& to);
  int descriptor() const noexcept { return socket_; }
  // The descriptor, which is the caller's from now on; -1 if there is none.
  int release() noexcept;

 private:
  int socket_ = -1;
  std::string input_;
};

}  // namespace tandem::ctl
