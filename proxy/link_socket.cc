#include "proxy/link_socket.h"

#include <netinet/tcp.h>

#include <span>
#include <utility>

namespace tandem::proxy {

namespace {
// RFC 8446, 6.2.
constexpr std::string_view protocol_version_alert("\x15\x03\x03\0\x02\x02\x46", 7);
}  // namespace

void tune_link_socket(tcp_socket& socket, std::chrono::milliseconds dead_after) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.set_option(tcp_socket::keep_alive(true), ignored);
  using user_timeout = asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>;
  socket.set_option(user_timeout(static_cast<int>(dead_after.count())), ignored);
}

link_socket::link_socket(replication::session_id session, tcp_socket socket,
                         std::unique_ptr<tls_stream> tls, link_socket_owner& owner)
    : session_(session),
      socket_(std::move(socket)),
      tls_(std::move(tls)),
      timer_(socket_.get_executor()),
      owner_(&owner),
      input_(read_bytes_min),
      shaking_(tls_ != nullptr) {}

void link_socket::start() {
  if (!tls_) return read();
  scratch_.resize(scratch_bytes);
  // Not from within this call: it may fail at once.
  asio::post(socket_.get_executor(), [self = shared_from_this()] { self->shake_hands(); });
}

void link_socket::wait(tcp_socket::wait_type what, void (link_socket::*next)()) {
  // How the wait ended is of no interest: what comes next finds out.
  socket_.async_wait(what, [self = shared_from_this(), next](error_code) {
    if (self->socket_.is_open()) (self.get()->*next)();
  });
}

bool link_socket::waits(io_status status, void (link_socket::*next)()) {
  const auto what = wait_of(status);
  if (what) wait(*what, next);
  return what.has_value();
}

void link_socket::shake_hands() {
  if (!socket_.is_open()) return;
  const io_status status = tls_->handshake();
  if (waits(status, &link_socket::shake_hands)) return;
  if (status != io_status::done) return fail_tls();
  shaking_ = false;
  flush();
  read();
}

// --- writing -------------------------------------------------------------------------------------

void link_socket::send(std::string bytes) {
  if (!bytes.empty()) queue_.push_back(std::move(bytes));
}

void link_socket::flush() {
  if (writing_ || queue_.empty() || shaking_) return;
  writing_ = true;
  if (tls_) return wait(tcp_socket::wait_write, &link_socket::write_tls);
  pieces_.clear();
  for (const std::string& each : queue_) {
    if (pieces_.size() == pieces_max) break;
    pieces_.push_back(asio::buffer(each));
  }
  pieces_.front() += first_sent_;
  socket_.async_write_some(std::span<const asio::const_buffer>(pieces_),
                           [self = shared_from_this()](error_code ec, std::size_t bytes) {
                             self->writing_ = false;
                             if (!self->socket_.is_open()) return;
                             if (ec) return self->fail(ec.message());
                             self->written(bytes);
                           });
}

void link_socket::write_tls() {
  writing_ = false;
  if (!tls_) return;
  std::array<std::string_view, pieces_max> pieces;
  std::size_t count = 0;
  for (const std::string& each : queue_) {
    if (count == pieces_max) break;
    pieces[count++] = each;
  }
  pieces.front().remove_prefix(first_sent_);
  const io_result result = tls_->write(std::span(pieces).first(count), scratch_);
  writing_ = waits(result.status, &link_socket::write_tls);
  if (writing_) return;
  if (result.status != io_status::done) return fail_tls();
  written(result.n);
}

void link_socket::written(std::size_t bytes) {
  first_sent_ += bytes;
  while (!queue_.empty() && first_sent_ >= queue_.front().size()) {
    first_sent_ -= queue_.front().size();
    queue_.pop_front();
  }
  // Before the event, which may add to the queue: the kernel is kept busy.
  flush();
  if (owner_ != nullptr) return owner_->link_sent(session_, bytes);
  if (finishing_ && queue_.empty()) end_writing();
}

void link_socket::end_writing() {
  if (tls_) tls_->shut_down();
  error_code ignored;
  socket_.shutdown(tcp_socket::shutdown_send, ignored);
}

// --- reading -------------------------------------------------------------------------------------

void link_socket::read() {
  if (tls_ && !tls_->pending()) return wait(tcp_socket::wait_read, &link_socket::read_tls);
  if (tls_)
    return asio::post(socket_.get_executor(), [self = shared_from_this()] { self->read_tls(); });
  socket_.async_read_some(asio::buffer(input_),
                          [self = shared_from_this()](error_code ec, std::size_t bytes) {
                            if (!self->socket_.is_open()) return;
                            if (self->finishing_) return ec ? self->drop() : self->read();
                            if (ec == asio::error::eof) return self->fail("closed by the peer");
                            if (ec) return self->fail(ec.message());
                            self->received(bytes);
                          });
}

void link_socket::read_tls() {
  if (!socket_.is_open() || !tls_) return;
  const io_result result = tls_->read(input_);
  if (waits(result.status, &link_socket::read_tls)) return;
  if (result.status == io_status::ended) return fail("closed by the peer");
  if (result.status != io_status::done) return fail_tls();
  received(result.n);
}

void link_socket::received(std::size_t bytes) {
  if (finishing_) return read();
  owner_->link_received(session_, {input_.data(), bytes});
  if (!socket_.is_open()) return;
  if (bytes == input_.size() && bytes < read_bytes_max) input_.resize(read_bytes_max);
  read();
}

// --- the end -------------------------------------------------------------------------------------

void link_socket::finish() {
  owner_ = nullptr;
  if (shaking_) return drop();
  flush();
  if (queue_.empty()) end_writing();
  linger();
}

// What the peer sends is read and thrown away until it closes: bytes left unread would turn the
// closing into a reset, and that can take the last frame with it.
void link_socket::linger() {
  finishing_ = true;
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
  if (owner != nullptr) owner->link_closed(session_, reason, false);
}

// The alert that tells the peer what is wrong is on its way and must arrive.
void link_socket::fail_tls() {
  const std::string reason = tls_->reason();
  if (reason.empty() || owner_ == nullptr) return fail("the connection is broken");
  link_socket_owner* const owner = std::exchange(owner_, nullptr);
  const bool to_plain = tls_->peer_is_plain();
  tls_.reset();
  shaking_ = false;
  queue_.clear();
  // Whoever speaks no TLS gets no alert from OpenSSL, and would not know why it is closed.
  if (to_plain) queue_.emplace_back(protocol_version_alert);
  if (to_plain)
    flush();
  else
    end_writing();
  linger();
  read();
  owner->link_closed(session_, "TLS: " + reason, true);
}

}  // namespace tandem::proxy
