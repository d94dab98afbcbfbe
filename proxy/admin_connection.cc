#include "proxy/admin_connection.h"

#include <boost/beast/http/error.hpp>
#include <string_view>
#include <utility>

#include "proxy/address.h"

namespace tandem::proxy {

namespace http = boost::beast::http;

admin_connection::admin_connection(admin_connection_owner& owner, tcp_socket socket,
                                   std::unique_ptr<tls_stream> tls)
    : owner_(&owner),
      socket_(std::move(socket)),
      tls_(std::move(tls)),
      timer_(socket_.get_executor()),
      since_(steady_timer::clock_type::now()) {}

std::string admin_connection::peer() const {
  error_code ec;
  const tcp::endpoint from = socket_.remote_endpoint(ec);
  return ec ? "?" : to_string(from);
}

void admin_connection::start() {
  if (tls_) {
    enter(state::handshake, request_timeout);
    return shake_hands();
  }
  next();
}

void admin_connection::enter(state which, std::chrono::seconds limit) {
  state_ = which;
  since_ = steady_timer::clock_type::now();
  timer_.expires_at(since_ + limit);
  timer_.async_wait([weak = weak_from_this()](error_code ec) {
    if (ec) return;
    if (const auto self = weak.lock()) self->close();
  });
}

bool admin_connection::waits(io_status status, void (admin_connection::*then)()) {
  const auto what = wait_of(status);
  if (!what) return false;
  socket_.async_wait(*what, [self = shared_from_this(), then](error_code) {
    if (self->owner_ != nullptr) (self.get()->*then)();
  });
  return true;
}

void admin_connection::shake_hands() {
  const io_status status = tls_->handshake();
  if (waits(status, &admin_connection::shake_hands)) return;
  if (status != io_status::done) return close();
  next();
}

io_result admin_connection::read_some() {
  if (tls_) return tls_->read(buffer_);
  error_code ec;
  const std::size_t n = socket_.read_some(asio::buffer(buffer_), ec);
  if (ec == asio::error::would_block) return {io_status::want_read};
  return {ec ? io_status::broken : io_status::done, n};
}

io_result admin_connection::write_some() {
  const std::string_view rest = std::string_view(output_).substr(written_);
  if (tls_) return tls_->write(std::span(&rest, 1), scratch_);
  error_code ec;
  const std::size_t n = socket_.write_some(asio::buffer(rest.data(), rest.size()), ec);
  if (ec == asio::error::would_block) return {io_status::want_write};
  return {ec ? io_status::broken : io_status::done, n};
}

// The next request, which may have come already, or after the pause that the owner wants.
void admin_connection::next() {
  parser_.emplace();
  parser_->header_limit(head_bytes_max);
  parser_->body_limit(body_bytes_max);
  const std::chrono::milliseconds pause = owner_->pause();
  if (pause.count() == 0) {
    enter(input_.empty() ? state::waiting : state::receiving,
          input_.empty() ? idle_timeout : request_timeout);
    return input_.empty() ? read() : parse();
  }
  state_ = state::asked;
  timer_.expires_after(pause);
  timer_.async_wait([self = shared_from_this()](error_code ec) {
    if (!ec && self->owner_ != nullptr) self->next();
  });
}

void admin_connection::read() {
  const io_result got = read_some();
  if (waits(got.status, &admin_connection::read)) return;
  if (got.status != io_status::done) return close();
  if (state_ == state::waiting) enter(state::receiving, request_timeout);
  input_.append(buffer_.data(), got.n);
  parse();
}

void admin_connection::parse() {
  while (!input_.empty() && !parser_->is_done()) {
    error_code ec;
    const std::size_t used = parser_->put(asio::buffer(input_), ec);
    input_.erase(0, used);
    if (ec == http::error::need_more) break;
    if (ec == http::error::header_limit) return refuse(431, "the head is too large");
    if (ec == http::error::body_limit) return refuse(413, "the body is too large");
    if (ec) return refuse(400, "this is no HTTP request");
  }
  if (!parser_->is_done()) {
    if (input_.size() > head_bytes_max) return refuse(431, "the head is too large");
    return read();
  }
  const auto& request = parser_->get();
  keep_ = request.keep_alive();
  head_only_ = request.method() == http::verb::head;
  state_ = state::asked;
  timer_.cancel();
  owner_->asked(shared_from_this(), {.method = request.method_string(),
                                     .target = request.target(),
                                     .authorization = request[http::field::authorization]});
}

void admin_connection::refuse(unsigned status, const char* why) {
  keep_ = false;
  reply({.status = status, .type = "text/plain", .body = std::string(why) + "\n"});
}

void admin_connection::reply(const admin::site_reply& what) {
  if (owner_ == nullptr) return;
  const std::string_view reason = http::obsolete_reason(static_cast<http::status>(what.status));
  output_ = "HTTP/1.1 " + std::to_string(what.status) + " ";
  output_.append(reason).append("\r\nContent-Type: ").append(what.type);
  output_.append("\r\nContent-Length: ").append(std::to_string(what.body.size()));
  output_.append(
      "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
      "X-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n");
  if (what.type.starts_with("text/html"))
    output_.append(
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'; connect-src 'self'; img-src data:\r\n");
  if (!what.allow.empty()) output_.append("Allow: ").append(what.allow).append("\r\n");
  if (what.status == 401) output_.append("WWW-Authenticate: Bearer\r\n");
  output_.append(keep_ ? "\r\n" : "Connection: close\r\n\r\n");
  if (!head_only_) output_.append(what.body);
  written_ = 0;
  enter(state::writing, write_timeout);
  write();
}

void admin_connection::say(std::string text) {
  keep_ = false;
  output_ = std::move(text);
  enter(state::writing, write_timeout);
  write();
}

void admin_connection::write() {
  while (written_ < output_.size()) {
    const io_result put = write_some();
    if (waits(put.status, &admin_connection::write)) return;
    if (put.status != io_status::done) return close();
    written_ += put.n;
  }
  output_.clear();
  written_ = 0;
  if (!keep_) return close();
  // By way of the loop: who asks without end is one among many.
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    if (self->owner_ != nullptr) self->next();
  });
}

void admin_connection::close() {
  if (owner_ == nullptr) return;
  admin_connection_owner& owner = *std::exchange(owner_, nullptr);
  timer_.cancel();
  if (tls_) tls_->shut_down();
  error_code ignored;
  socket_.shutdown(tcp_socket::shutdown_send, ignored);
  // Input unread would make the end a reset, which can take the reply with it.
  socket_.read_some(asio::buffer(buffer_), ignored);
  socket_.close(ignored);
  owner.forget(this);
}

}  // namespace tandem::proxy
