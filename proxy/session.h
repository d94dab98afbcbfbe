// A client's socket: moves bytes between it and a service::connection, which has all the logic. The
// worker's thread only, but for describe().
//
// A session waits for one thing at a time: to read, to write on, or for its turn. What it waits
// with keeps it alive, and takes no memory anew: Asio reuses that of the wait before. Reading waits
// first and then reads once, so that an idle client holds no buffer; a reply is written at once,
// and waited for only when the socket is full.
//
// Limits: what is not yet sent is bounded by connection (wants_read); a client that does not read
// its replies is not read from either. One that always has more to ask gives way to the others
// after a read, and within what was read after requests_per_event requests.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "common/base/time.h"
#include "common/service/connection.h"
#include "common/service/server.h"
#include "proxy/asio.h"

namespace tandem::proxy {

class worker;

class session : public std::enable_shared_from_this<session> {
 public:
  // `socket` is connected, does not block and belongs to the worker's io_context.
  session(worker& owner, tcp_socket socket, steady_time at);

  // Waits for the client's next bytes.
  void start();
  // Closes the socket and leaves the worker; once, and by someone who holds the session. `why` is
  // for the log.
  void close(const char* why);
  // Any thread, while the worker's list is locked.
  void describe(std::vector<service::stat_row>& rows, steady_time at) const;

 private:
  // More than a reply usually has; what Asio passes to one call.
  static constexpr std::size_t pieces_max = 64;

  auto then(void (session::*next)());
  void received(error_code ec, std::size_t n);
  void resume();
  std::size_t write(error_code& ec);
  void advance();

  worker& owner_;
  tcp_socket socket_;
  const int id_;  // the descriptor: the client's name in the log and in `stats conns`
  service::connection connection_;
  std::atomic<steady_time::rep> last_event_;
};

}  // namespace tandem::proxy
