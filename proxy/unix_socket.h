// A UNIX socket that is listened on, as a file: how it comes to be, and how it goes. One thread.
#pragma once

#include <sys/types.h>

#include <string>

#include "proxy/asio.h"

namespace tandem::proxy {

// Connects at once or not at all; returns what is wrong, empty: `socket` is connected.
[[nodiscard]] std::string connect_unix_socket(tcp_socket& socket, const std::string& path);

class unix_socket_file {
 public:
  // `mask`: its permissions.
  unix_socket_file(const std::string& path, unsigned mask);
  // Removes the file, if it is still the one that bind() made.
  ~unix_socket_file();
  unix_socket_file(const unix_socket_file&) = delete;
  unix_socket_file& operator=(const unix_socket_file&) = delete;

  const std::string& path() const noexcept { return path_; }

  // Opens and binds, does not listen: until it does, clients are refused. A socket that nobody
  // listens on is replaced; another process's, or a file of another kind, is address_in_use. On
  // failure the acceptor is closed. (An acceptor does not care for the family of what it accepts
  // from, and sessions do not either: this one is as the TCP ones.)
  void bind(tcp_acceptor& acceptor, error_code& ec);
  // To the user that the daemon becomes. Throws start_error.
  void give_to(uid_t user, gid_t group) const;

 private:
  void remove() noexcept;

  const std::string path_;  // absolute
  const unsigned mask_;
  dev_t device_ = 0;  // of the file made
  ino_t inode_ = 0;   // 0: there is none
};

}  // namespace tandem::proxy
