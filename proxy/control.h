// Where operators' commands come in: a UNIX socket on which a line is a command and is answered by
// lines of text and a closing `OK` or `ERROR reason`. What the commands mean is the replication
// core's (common/replication/commands.cc).
//
// Limits: clients_max connections, a further one is told so and closed; a line of line_bytes_max; a
// client that sends nothing for idle_timeout, or does not take its answer within write_timeout, is
// closed. A client's commands are carried out one after the other. One that leaves before its
// answer loses the answer and nothing else.
//
// One thread, its io_context's, but for answer().
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "config/options.h"
#include "proxy/asio.h"
#include "proxy/unix_socket.h"

namespace tandem::proxy {

class control_client;

class control_port {
 public:
  static constexpr std::size_t clients_max = 16;
  static constexpr std::size_t line_bytes_max = 1024;
  static constexpr std::chrono::seconds idle_timeout{60};
  static constexpr std::chrono::seconds write_timeout{5};

  // Starts a command; answer() is to be called with its id once. Called in this thread.
  using command_handler = std::function<void(std::uint64_t id, std::string text)>;

  // Binds; throws start_error.
  control_port(asio::io_context& context, const config::control_options& options);
  ~control_port();

  // The socket's file to the user that the daemon becomes. Throws start_error.
  void give_to(uid_t user, gid_t group) const { file_.give_to(user, group); }
  // Listens from now on.
  void start(command_handler handler);
  // Closes everything.
  void stop();
  // What came of a command. `text` as effect::answer has it. Any thread, while the io_context runs.
  void answer(std::uint64_t id, bool ok, std::string text);

 private:
  friend class control_client;

  void wait();
  void accept();
  void take(int socket);
  void command(const std::shared_ptr<control_client>& from, std::string text);
  void deliver(std::uint64_t id, bool ok, const std::string& text);
  void forget(const control_client* which);

  asio::io_context& context_;
  unix_socket_file file_;
  tcp_acceptor acceptor_;
  steady_timer breath_;
  command_handler handler_;
  bool listening_ = false;
  std::uint64_t next_id_ = 1;
  std::map<const control_client*, std::shared_ptr<control_client>> clients_;
  std::map<std::uint64_t, std::weak_ptr<control_client>> waiting_;  // for answers
};

}  // namespace tandem::proxy
