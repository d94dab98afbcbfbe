#include "proxy/link_socket.h"

#include <netinet/tcp.h>

#include <span>
#include <utility>

namespace tandem::proxy {

void tune_link_socket(tcp_socket& socket, std::chrono::milliseconds dead_after) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(tcp_socket::keep_alive(true), ignored);
  using user_timeout = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;
  socket.set_option(user_timeout(static_cast<int>(dead_after.count())), ignored);
}

link_socket::link_socket(replication::session_id session, tcp_socket socket,
                         link_socket_owner& owner)
    : session_(session),
      socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      owner_(&owner),
      input_(read_bytes_max) {}

void link_socket::send(std::string bytes) {
  if (!bytes.empty()) queue_.push_back(std::move(bytes));
}

void link_socket::flush() {
  if (writing_ || queue_.empty()) return;
  pieces_.clear();
  for (const std::string& each : queue_) {
    if (pieces_.size() == pieces_max) break;
    pieces_.push_back(asio::buffer(each));
  }
  pieces_.front() += first_sent_;
  writing_ = true;
  socket_.async_write_some(std::span<const asio::const_buffer>(pieces_),
                           [self = shared_from_this()](error_code ec, std::size_t bytes) {
                             self->write_done(ec, bytes);
                           });
}

void link_socket::write_done(error_code ec, std::size_t bytes) {
  writing_ = false;
  if (!socket_.is_open()) return;
  if (ec) return fail(ec.message());
  first_sent_ += bytes;
  while (!queue_.empty() && first_sent_ >= queue_.front().size()) {
    first_sent_ -= queue_.front().size();
    queue_.pop_front();
  }
  // Before the event, which may add to the queue: the kernel is kept busy.
  flush();
  if (owner_ != nullptr) return owner_->link_sent(session_, bytes);
  if (finishing_ && queue_.empty()) {
    error_code ignored;
    socket_.shutdown(tcp_socket::shutdown_send, ignored);
  }
}

void link_socket::read() {
  socket_.async_read_some(
      asio::buffer(input_), [self = shared_from_this()](error_code ec, std::size_t bytes) {
        if (!self->socket_.is_open()) return;
        if (self->finishing_) return ec ? self->drop() : self->read();
        if (ec == asio::error::eof) return self->fail("closed by the peer");
        if (ec) return self->fail(ec.message());
        self->owner_->link_received(self->session_, {self->input_.data(), bytes});
        if (self->socket_.is_open()) self->read();
      });
}

void link_socket::finish() {
  owner_ = nullptr;
  finishing_ = true;
  flush();
  if (queue_.empty()) {
    error_code ignored;
    socket_.shutdown(tcp_socket::shutdown_send, ignored);
  }
  // What the peer sends is read and thrown away until it closes: bytes left unread would turn the
  // closing into a reset, and that can take the last frame with it.
  timer_.expires_after(finish_timeout);
  timer_.async_wait([self = shared_from_this()](error_code) { self->drop(); });
}

void link_socket::drop() {
  owner_ = nullptr;
  timer_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

void link_socket::fail(const std::string& reason) {
  link_socket_owner* const owner = std::exchange(owner_, nullptr);
  drop();
  if (owner != nullptr) owner->link_closed(session_, reason);
}

}  // namespace tandem::proxy
