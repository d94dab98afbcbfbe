// TLS at the clients' and the peer's sockets, by OpenSSL on the socket itself: no second buffer
// between them, so that the kernel can take over the encryption (kernel_tls), and reads and writes
// that do not block keep their place. (Asio's stream keeps what it has encrypted but not sent to
// itself, and so wants to be waited for in another way than a socket.)
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/time.h"
#include "config/options.h"
#include "config/text.h"
#include "proxy/asio.h"

namespace tandem::proxy {

// Written by the workers, read by `stats`.
struct tls_counters {
  std::atomic<std::uint64_t> handshake_errors{0}, protocol_errors{0}, new_sessions{0};
};

struct ssl_deleter {
  void operator()(SSL* connection) const noexcept { SSL_free(connection); }
};
using ssl_handle = std::unique_ptr<SSL, ssl_deleter>;

// A certificate and rules. Any thread after it is made.
class tls_context {
 public:
  // Loads the files; throws start_error.
  explicit tls_context(const config::tls_options& options);
  tls_context(const tls_context&) = delete;
  tls_context& operator=(const tls_context&) = delete;

  // Loads the files again, all or nothing: connections made from now on have what is in them, older
  // ones keep what they have. Empty, or what is wrong. Blocks for the time of reading.
  std::string reload();
  // For a connected socket, which stays the caller's. `how` is not off. Empty: no memory.
  ssl_handle open(int socket, config::listener_tls how);
  // The same for a socket of the peer link, which either side may have dialled. The options must
  // require the peer's certificate. `peer_name`, unless empty, must be in that: a name or address.
  ssl_handle open_link(int socket, bool dialed, const std::string& peer_name);

  std::chrono::seconds since_loaded(steady_time now) const;
  tls_counters& counters() noexcept { return counters_; }

 private:
  ssl_handle connect_to(int socket);

  const config::tls_options options_;  // with absolute paths
  tls_counters counters_;
  mutable std::mutex mutex_;
  std::shared_ptr<SSL_CTX> current_;
  steady_time loaded_;
};

// What a read or write came to.
enum class io_status { done, want_read, want_write, ended, broken };
// What to wait for on the socket before going on, if that is it.
std::optional<tcp_socket::wait_type> wait_of(io_status status) noexcept;
struct io_result {
  io_status status;
  std::size_t n = 0;  // bytes, when done
};

// One connection. Its worker's thread only.
class tls_stream {
 public:
  tls_stream(ssl_handle connection, tls_counters& counters)
      : connection_(std::move(connection)), counters_(counters) {}

  // To be called again after what it wants, until it is done or broken.
  io_status handshake();
  // At least a byte, unless the status is another.
  io_result read(std::span<char> room);
  // Some of the pieces' bytes, from the front. Small pieces are gathered in `scratch`, which must
  // not be empty. After want_*, the next write must begin with the same bytes.
  io_result write(std::span<const std::string_view> pieces, std::span<char> scratch);
  // Decrypted bytes are waiting that the socket does not know of.
  bool pending() const noexcept { return SSL_pending(connection_.get()) > 0; }
  // After broken: what was wrong with the other side, as a clause. Empty: the connection broke.
  std::string reason() const;
  // After broken: for what the other side says is no TLS.
  bool peer_is_plain() const noexcept;
  // Says goodbye, if that can be done without waiting.
  void shut_down();

 private:
  io_result explain(int result);
  void remember_error();

  ssl_handle connection_;
  tls_counters& counters_;
  bool open_ = false;        // the handshake is done and nothing broke
  unsigned long error_ = 0;  // OpenSSL's, after broken
};

}  // namespace tandem::proxy
