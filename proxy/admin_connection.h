// One HTTP/1.1 connection to the admin port: bytes in, a reply out, one request at a time. Beast
// reads the requests; what they mean is the owner's business.
//
// Limits: a head of head_bytes_max, a body of body_bytes_max; a request that does not arrive within
// request_timeout, a reply that is not taken within write_timeout or a connection that asks nothing
// for idle_timeout is the end of it. One thread, its io_context's.
#pragma once

#include <array>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/admin/site.h"
#include "proxy/asio.h"
#include "proxy/tls.h"

namespace tandem::proxy {

class admin_connection;

// Called in the connections' thread.
class admin_connection_owner {
 public:
  // To be answered by connection.reply(), once, now or later.
  virtual void asked(const std::shared_ptr<admin_connection>& by,
                     const admin::site_request& request) = 0;
  // How long the next request has to wait, for there were too many.
  virtual std::chrono::milliseconds pause() = 0;
  virtual void forget(const admin_connection* which) = 0;

 protected:
  ~admin_connection_owner() = default;
};

class admin_connection : public std::enable_shared_from_this<admin_connection> {
 public:
  static constexpr std::size_t head_bytes_max = 8 << 10;
  static constexpr std::size_t body_bytes_max = 4 << 10;
  static constexpr std::chrono::seconds request_timeout{10};
  static constexpr std::chrono::seconds write_timeout{10};
  static constexpr std::chrono::seconds idle_timeout{120};

  // `socket` is connected and does not block. `tls`: null for plain HTTP. The owner outlives the
  // connection, or closes it.
  admin_connection(admin_connection_owner& owner, tcp_socket socket,
                   std::unique_ptr<tls_stream> tls);

  void start();
  void reply(const admin::site_reply& what);
  // Says the text and closes: no HTTP.
  void say(std::string text);
  void close();
  // HOST:PORT, for the log.
  std::string peer() const;
  // Nothing was asked, or the last answer is taken.
  bool idle() const noexcept { return state_ == state::waiting; }
  steady_timer::time_point since() const noexcept { return since_; }

 private:
  using parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  enum class state : std::uint8_t { handshake, waiting, receiving, asked, writing };

  void enter(state which, std::chrono::seconds limit);
  void shake_hands();
  void read();
  void parse();
  void next();
  void refuse(unsigned status, const char* why);
  void write();
  io_result read_some();
  io_result write_some();
  // True if the status is one to wait for, and `then` goes on.
  bool waits(io_status status, void (admin_connection::*then)());

  admin_connection_owner* owner_;  // null: closed
  tcp_socket socket_;
  std::unique_ptr<tls_stream> tls_;
  steady_timer timer_;
  steady_timer::time_point since_;
  state state_ = state::waiting;
  std::array<char, 4096> buffer_;
  std::array<char, 4096> scratch_;  // of TLS
  std::string input_;
  std::optional<parser> parser_;
  bool keep_ = false;       // the connection, after this reply
  bool head_only_ = false;  // HEAD: the reply has no body
  std::string output_;
  std::size_t written_ = 0;
};

}  // namespace tandem::proxy
