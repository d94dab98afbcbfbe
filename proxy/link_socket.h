// One connection to the peer: a queue of bytes to write and a reader, over TCP or TLS on it. It
// knows nothing of what the bytes mean. The link's thread only.
//
// With TLS the handshake comes first, in silence: what is queued waits for it, and nothing is heard
// before it is done. A handshake that does not end is its owner's to end.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/replication/event.h"
#include "proxy/asio.h"
#include "proxy/tls.h"

namespace tandem::proxy {

class link_socket;

// Hears what happens to a socket, until that is finished or dropped. Never called from within a
// call to the socket.
class link_socket_owner {
 public:
  virtual void link_received(replication::session_id session, std::string_view bytes) = 0;
  virtual void link_sent(replication::session_id session, std::size_t bytes) = 0;
  // The last of a session. `untrusted`: TLS broke, for a certificate most likely.
  virtual void link_closed(replication::session_id session, const std::string& reason,
                           bool untrusted) = 0;

 protected:
  ~link_socket_owner() = default;
};

// Options every socket of the link gets. `dead_after`: how long the kernel may go on without an
// acknowledgement before it gives the connection up by itself.
void tune_link_socket(tcp_socket& socket, std::chrono::milliseconds dead_after);

// Held by shared_ptr: operations under way keep it alive after its owner let go.
class link_socket : public std::enable_shared_from_this<link_socket> {
 public:
  // Bytes given to the node at once; the first of a connection, which may be anybody's, ...
  static constexpr std::size_t read_bytes_min = std::size_t{4} << 10;
  // ... and those of one that has much to say.
  static constexpr std::size_t read_bytes_max = std::size_t{64} << 10;
  // How long finish() waits for the peer to take what is queued.
  static constexpr std::chrono::seconds finish_timeout{1};

  // `socket` is connected. `tls`: on that socket, not begun; null: plain. The owner outlives the
  // socket's last event.
  link_socket(replication::session_id session, tcp_socket socket, std::unique_ptr<tls_stream> tls,
              link_socket_owner& owner);

  void start();
  // Queues; flush() sends. The node keeps the queue short by its `sent` events.
  void send(std::string bytes);
  void flush();
  // Closes after what is queued is sent and the peer has read it, or after finish_timeout; at once
  // within a handshake. No event follows.
  void finish();
  // Closes now. No event follows.
  void drop();

 private:
  static constexpr std::size_t pieces_max = 64;
  // What TLS encrypts at once.
  static constexpr std::size_t scratch_bytes = std::size_t{16} << 10;

  void shake_hands();
  void read();
  void read_tls();
  void received(std::size_t bytes);
  void write_tls();
  void written(std::size_t bytes);
  void end_writing();
  void linger();
  void wait(tcp_socket::wait_type what, void (link_socket::*next)());
  // True if `status` is one to wait for, and `next` will go on.
  bool waits(io_status status, void (link_socket::*next)());
  void fail(const std::string& reason);
  void fail_tls();

  const replication::session_id session_;
  tcp_socket socket_;
  std::unique_ptr<tls_stream> tls_;  // null: plain, or it broke
  steady_timer timer_;
  link_socket_owner* owner_;  // null: finished or dropped
  std::deque<std::string> queue_;
  std::size_t first_sent_ = 0;  // of the queue's first string
  std::vector<asio::const_buffer> pieces_;
  std::vector<char> input_;
  std::vector<char> scratch_;  // TLS only
  bool shaking_;               // TLS is not there yet
  bool writing_ = false;
  bool finishing_ = false;
};

}  // namespace tandem::proxy
