#include "proxy/session.h"

#include <sys/socket.h>

#include <array>
#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "proxy/address.h"
#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/worker.h"

namespace tandem::proxy {
namespace {
constexpr std::size_t discard_bytes_max = std::size_t{1} << 20;
}

session::session(worker& owner, tcp_socket socket, steady_time at)
    : owner_(owner),
      socket_(std::move(socket)),
      id_(socket_.native_handle()),
      connection_(owner.data(), owner.statistics(), owner.host(), owner.limits()),
      last_event_(at.time_since_epoch().count()) {}

// A handler that goes on with `next`, unless the session was closed meanwhile. How a wait ended is
// of no interest: if the connection is broken, the next read or write says so.
auto session::then(void (session::*next)()) {
  return [self = shared_from_this(), next](error_code = {}) {
    if (self->socket_.is_open()) (self.get()->*next)();
  };
}

// Reading outright is cheaper than waiting to be able to (Asio would arm epoll anew for each wait);
// the price is the buffer that an idle connection keeps ready.
void session::start() {
  const std::span<char> room = connection_.prepare();
  socket_.async_read_some(asio::buffer(room.data(), room.size()),
                          [self = shared_from_this()](error_code ec, std::size_t n) {
                            if (self->socket_.is_open()) self->received(ec, n);
                          });
}

void session::close(const char* why) {
  spdlog::debug("client {}: closed: {}", id_, why);
  owner_.forget(shared_from_this());
  error_code ignored;
  socket_.close(ignored);
}

void session::describe(std::vector<service::stat_row>& rows, steady_time at) const {
  const std::string id = std::to_string(id_) + ':';
  const auto idle =
      at.time_since_epoch() - steady_time::duration(last_event_.load(std::memory_order_relaxed));
  rows.emplace_back(id + "addr", "tcp:" + peer_name(id_));
  rows.emplace_back(id + "state", "conn_read");
  rows.emplace_back(id + "secs_since_last_cmd",
                    std::to_string(std::chrono::duration_cast<std::chrono::seconds>(idle).count()));
}

void session::received(error_code ec, std::size_t n) {
  if (!owner_.serving()) return close("the node stops serving");
  const instant at = now();
  last_event_.store(at.steady.time_since_epoch().count(), std::memory_order_relaxed);
  if (ec == asio::error::eof)
    connection_.received_end();
  else if (ec)
    return close("the connection is broken");
  else
    connection_.received(n, at);
  advance();
}

void session::resume() {
  if (!owner_.serving()) return close("the node stops serving");
  connection_.resume(now());
  advance();
}

// Writes once, what the socket takes. One piece is the rule, and the room for many costs more to
// set up than all else here.
std::size_t session::write(error_code& ec) {
  std::array<std::string_view, 2> few;
  if (connection_.output(few) == 1) return socket_.write_some(asio::buffer(few.front()), ec);
  std::array<std::string_view, pieces_max> pieces;
  std::array<asio::const_buffer, pieces_max> buffers;
  const std::size_t count = connection_.output(pieces);
  for (std::size_t i = 0; i < count; ++i) buffers[i] = asio::buffer(pieces[i]);
  return socket_.write_some(std::span(buffers).first(count), ec);
}

// Sends what there is and waits for whatever comes next.
void session::advance() {
  while (connection_.has_output()) {
    error_code ec;
    const std::size_t n = write(ec);
    if (ec == asio::error::would_block)
      return socket_.async_wait(tcp_socket::wait_write, then(&session::advance));
    if (ec) return close("the connection is broken");
    connection_.sent(n);
  }
  if (connection_.wants_close()) {
    // Closing with input unread is a reset, and that can take the last reply with it.
    ::recv(id_, nullptr, discard_bytes_max, MSG_DONTWAIT | MSG_TRUNC);
    return close("the client ended it, quit or broke the protocol");
  }
  if (connection_.has_more()) return asio::post(socket_.get_executor(), then(&session::resume));
  start();
}

}  // namespace tandem::proxy
