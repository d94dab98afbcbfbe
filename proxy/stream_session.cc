// The two kinds of sessions, over TCP or a UNIX socket and over TLS: how bytes get from and to the
// socket, and what a session waits for.
#include <sys/socket.h>

#include <array>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "proxy/session.h"
#include "proxy/worker.h"

namespace tandem::proxy {
namespace {

constexpr std::size_t discard_bytes_max = std::size_t{1} << 20;
// More than a reply usually has; what Asio passes to one call.
constexpr std::size_t pieces_max = 64;

// Before the others of the worker have their turn: what a watcher gets may come without end.
constexpr unsigned writes_per_turn = 16;

// No stream of its own: the socket is read and written as it is.
struct no_tls {};

template <class Stream>
class stream_session final : public session {
  static constexpr bool encrypted = !std::is_same_v<Stream, no_tls>;

 public:
  stream_session(worker& owner, tcp_socket socket, Stream stream, steady_time at)
      : session(owner, std::move(socket), at), stream_(std::move(stream)) {
    if constexpr (encrypted) enter(phase::handshake);
  }

  void start() override {
    if constexpr (encrypted)
      shake_hands();
    else
      read_plain();
  }

 private:
  void hang_up() override {
    if constexpr (encrypted) stream_.shut_down();
  }

  // If it waits to write, it will look for more after that.
  void watched() override {
    if (!reading_) return;
    connection_.pull();
    cut_short();
  }

  // While it waits to read, what was released is written beside that. Any other wait ends in
  // advance().
  void released() override {
    if (std::exchange(parked_, false)) return advance();  // which may park it again
    if (!reading_) return;
    while (connection_.has_output()) {
      const io_result result = write_output();
      if (result.status == io_status::want_read || result.status == io_status::want_write)
        return cut_short();
      if (result.status != io_status::done) return close("the connection is broken", "error");
      connection_.sent(result.n);
    }
    if (connection_.has_more() || !connection_.wants_read()) return cut_short();
    await_acknowledgement();
  }

  void answered() override {
    if (std::exchange(parked_, false)) advance();
  }

  // A write costs more than all else that is done for a reply.
  void relayed() override {
    if (!connection_.gathers() || connection_.has_more()) released();
  }

  void cut_short() {
    cut_short_ = true;
    error_code ignored;
    socket_.cancel(ignored);
  }

  // A handler that goes on with `next`, unless the session was closed meanwhile. How a wait ended
  // is of no interest: if the connection is broken, the next read or write says so.
  auto then(void (stream_session::*next)()) {
    return [self = me(), next](error_code = {}) {
      if (self->socket_.is_open()) (self.get()->*next)();
    };
  }
  std::shared_ptr<stream_session> me() {
    return std::static_pointer_cast<stream_session>(shared_from_this());
  }
  void wait(tcp_socket::wait_type what, void (stream_session::*next)()) {
    socket_.async_wait(what, then(next));
  }
  // True if `status` is one to wait for, and `next` will go on.
  bool waits(io_status status, void (stream_session::*next)()) {
    const auto what = wait_of(status);
    if (what) wait(*what, next);
    return what.has_value();
  }

  void shake_hands() {
    const io_status status = stream_.handshake();
    if (waits(status, &stream_session::shake_hands)) return;
    if (status != io_status::done) return close("the TLS handshake failed", "error");
    enter(phase::reading);
    read_more();
  }

  // Reading outright is cheaper than waiting to be able to (Asio would arm epoll anew for each
  // wait); the price is the buffer that an idle connection keeps ready.
  void read_plain() {
    const std::span<char> room = connection_.prepare();
    reading_ = true;
    socket_.async_read_some(asio::buffer(room.data(), room.size()),
                            [self = me()](error_code ec, std::size_t n) {
                              if (self->socket_.is_open()) self->finish_read(ec, n);
                            });
  }

  void finish_read(error_code ec, std::size_t n) {
    reading_ = cut_short_ = false;
    if (close_unless_serving()) return;
    if (ec == asio::error::operation_aborted) return advance();  // by watched()
    if (ec == asio::error::eof)
      received_end();
    else if (ec)
      return close("the connection is broken", "error");
    else
      received(n);
    advance();
  }

  void read_tls() {
    reading_ = false;
    if (close_unless_serving()) return;
    if (std::exchange(cut_short_, false)) return advance();
    const io_result result = stream_.read(connection_.prepare());
    reading_ = waits(result.status, &stream_session::read_tls);
    if (reading_) return;
    if (result.status == io_status::done)
      received(result.n);
    else if (result.status == io_status::ended)
      received_end();
    else
      return close("the connection is broken", "error");
    advance();
  }

  void read_more() {
    if constexpr (!encrypted) {
      read_plain();
    } else if (stream_.pending()) {
      asio::post(socket_.get_executor(), then(&stream_session::read_tls));
    } else {
      reading_ = true;
      wait(tcp_socket::wait_read, &stream_session::read_tls);
    }
  }

  void resume() {
    if (close_unless_serving()) return;
    execute_more();
    advance();
  }

  io_result write(std::span<const std::string_view> pieces) {
    if constexpr (encrypted) {
      return stream_.write(pieces, owner_.scratch());
    } else {
      error_code ec;
      const std::size_t n = write_plain(pieces, ec);
      if (ec == asio::error::would_block) return {io_status::want_write};
      return {ec ? io_status::broken : io_status::done, n};
    }
  }

  std::size_t write_plain(std::span<const std::string_view> pieces, error_code& ec) {
    if (pieces.size() == 1) return socket_.write_some(asio::buffer(pieces.front()), ec);
    std::array<asio::const_buffer, pieces_max> buffers;
    for (std::size_t i = 0; i < pieces.size(); ++i) buffers[i] = asio::buffer(pieces[i]);
    return socket_.write_some(std::span(buffers).first(pieces.size()), ec);
  }

  // Writes once. One piece is the rule, and the room for many costs more to set up than all else
  // here.
  io_result write_output() {
    std::array<std::string_view, 2> few;
    if (connection_.output(few) == 1) return write(std::span(few).first(1));
    std::array<std::string_view, pieces_max> pieces;
    const std::size_t count = connection_.output(pieces);
    return write(std::span(pieces).first(count));
  }

  // Sends what there is and waits for whatever comes next.
  void advance() {
    for (unsigned writes = 0; connection_.has_output(); ++writes) {
      if (writes == writes_per_turn)
        return asio::post(socket_.get_executor(), then(&stream_session::advance));
      const io_result result = write_output();
      if (waits(result.status, &stream_session::advance)) return blocked();
      if (result.status != io_status::done) return close("the connection is broken", "error");
      connection_.sent(result.n);
      taken(result.n);
    }
    if (owner_.latencies().measures(this)) [[unlikely]]
      replied();
    enter(connection_.watches()        ? phase::watching
          : connection_.inside_value() ? phase::receiving_value
                                       : phase::reading);
    if (connection_.forwards()) {
      forward();
      await_acknowledgement();
      parked_ = true;
      return;
    }
    if (connection_.waits() || connection_.relays()) {
      await_acknowledgement();
      parked_ = !connection_.has_more() && !connection_.wants_read();
      if (parked_) return;
    } else if (connection_.wants_close()) {
      hang_up();
      // Closing with input unread is a reset, and that can take the last reply with it.
      ::recv(id_, nullptr, discard_bytes_max, MSG_DONTWAIT | MSG_TRUNC);
      return close("the client ended it, quit or broke the protocol",
                   connection_.left() ? "normal" : "error");
    }
    if (connection_.has_more())
      return asio::post(socket_.get_executor(), then(&stream_session::resume));
    read_more();
  }

  [[no_unique_address]] Stream stream_;
  bool parked_ = false;     // waits for the peer only
  bool reading_ = false;    // waits for the client's bytes
  bool cut_short_ = false;  // was told not to, by watched()
};

}  // namespace

std::shared_ptr<session> session::make(worker& owner, tcp_socket socket, steady_time at) {
  return std::make_shared<stream_session<no_tls>>(owner, std::move(socket), no_tls{}, at);
}

std::shared_ptr<session> session::make_tls(worker& owner, tcp_socket socket, ssl_handle connection,
                                           tls_counters& counters, steady_time at) {
  return std::make_shared<stream_session<tls_stream>>(
      owner, std::move(socket), tls_stream(std::move(connection), counters), at);
}

}  // namespace tandem::proxy
