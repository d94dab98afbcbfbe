#include "proxy/backend_line.h"

#include <span>
#include <utility>

namespace tandem::proxy {

backend_line::backend_line(asio::io_context& context, const config::backend_options& options)
    : socket_(context), dialer_(context, options) {}

void backend_line::open(handler done) {
  close();
  in_.consume(in_.size());
  dialer_.start([this, attempt = attempt_, then = std::move(done)](tcp_socket socket,
                                                                   const std::string& why) {
    if (attempt != attempt_) return;
    socket_ = std::move(socket);
    then(why);
  });
}

std::string backend_line::send(std::string_view request) {
  error_code ec;
  socket_.write_some(asio::buffer(request), ec);
  return ec ? ec.message() : std::string();
}

void backend_line::read(std::size_t most, read_handler done) {
  const std::span<char> room = in_.reserve(most);
  socket_.async_read_some(
      asio::buffer(room.data(), room.size()),
      [this, attempt = attempt_, then = std::move(done)](error_code ec, std::size_t n) {
        if (attempt != attempt_) return;
        in_.commit(n);
        then(n, ec ? ec.message() : std::string());
      });
}

void backend_line::close() {
  ++attempt_;
  dialer_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

void single_wait::start(std::chrono::microseconds duration, std::function<void()> then) {
  timer_.expires_after(duration);
  timer_.async_wait([this, number = ++number_, go_on = std::move(then)](error_code ec) {
    if (!ec && number == number_) go_on();
  });
}

void single_wait::cancel() {
  ++number_;
  timer_.cancel();
}

}  // namespace tandem::proxy
