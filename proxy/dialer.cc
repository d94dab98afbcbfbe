#include "proxy/dialer.h"

#include <utility>

#include "common/base/check.h"

namespace tandem::proxy {

dialer::dialer(asio::io_context& context, config::endpoint peer, peer_trust trust,
               std::chrono::milliseconds timeout)
    : context_(context),
      peer_(std::move(peer)),
      trust_(trust),
      timeout_(timeout),
      resolver_(context),
      socket_(context),
      timer_(context) {}

void dialer::start(handler done) {
  CHECK(!done_);
  done_ = std::move(done);
  last_reason_.clear();
  timer_.expires_after(timeout_);
  timer_.async_wait([self = shared_from_this()](error_code ec) {
    if (ec) return;
    self->finish(self->looking_up_ ? "looking up the name timed out" : "connecting timed out");
  });
  // An address needs no lookup, and a lookup a thread.
  error_code not_literal;
  const asio::ip::address literal = asio::ip::make_address(peer_.host, not_literal);
  if (!not_literal) addresses_ = {{literal, peer_.port}};
  if (tried_ == addresses_.size()) return look_up();
  asio::post(context_, [self = shared_from_this()] { self->next(); });
}

void dialer::look_up() {
  if (std::exchange(looking_up_, true)) return;
  resolver_.async_resolve(peer_.host, std::to_string(peer_.port),
                          [self = shared_from_this()](error_code ec, const auto& found) {
                            self->looking_up_ = false;
                            self->addresses_.clear();
                            self->tried_ = 0;
                            for (const auto& entry : found)
                              self->addresses_.push_back(entry.endpoint());
                            if (ec) return self->finish("cannot resolve: " + ec.message());
                            self->next();
                          });
}

void dialer::cancel() {
  done_ = nullptr;
  timer_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

void dialer::next() {
  if (!done_) return;
  if (tried_ == addresses_.size())
    return finish(last_reason_.empty() ? "the name has no address" : last_reason_);
  const tcp::endpoint where = addresses_[tried_++];
  if (!trusted(where.address(), trust_)) {
    last_reason_ = to_string(where) + " is refused: the link is not authenticated and goes to " +
                   describe(trust_) + " only";
    return next();
  }
  error_code ignored;
  socket_.close(ignored);
  socket_.async_connect(where, [self = shared_from_this()](error_code ec) {
    // Cancelled or timed out; what is heard of the socket now may be of another attempt.
    if (!self->done_ || ec == asio::error::operation_aborted) return;
    if (!ec) return self->finish("");
    self->last_reason_ = ec.message();
    self->next();
  });
}

void dialer::finish(const std::string& reason) {
  if (!done_) return;
  const handler done = std::exchange(done_, nullptr);
  timer_.cancel();
  addresses_.clear();
  tried_ = 0;
  tcp_socket socket = std::exchange(socket_, tcp_socket(context_));
  error_code ignored;
  if (!reason.empty()) socket.close(ignored);
  done(std::move(socket), reason);
}

}  // namespace tandem::proxy
