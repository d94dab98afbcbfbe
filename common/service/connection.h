// A client connection as a pure value: bytes in, reply pieces out. It parses memcached's protocol,
// executes on the store and queues replies; whoever owns the socket moves the bytes. One thread at
// a time (the worker the session is pinned to).
//
//   loop:  span = prepare(); n = read(socket, span); received(n, now);
//          while output(): write(socket, pieces); sent(n);
//          until wants_close() and nothing is left to send.
//
// Guarantees:
// - All requests complete in one received() are executed and answered together, up to
//   requests_per_event; has_more() then asks for a resume() after others had their turn.
// - Memory is bounded: at most one request line (or a large `get`), one value being received, and
//   output_limit bytes of replies plus one reply; while output is above the limit wants_read() is
//   false and no further request is executed.
// - Replies to mutations wait for the peer where the server says so (server::acks), all those of a
//   pipeline together; what is behind one in the output waits with it.
// - Commands that the peer has to execute (server::routes) are handed out by to_forward(), those of
// a
//   pipeline together, and their answers stand where their replies would.
// - Large values are received straight into their place and sent from it.
// - A client that sent `watch` is told what happens from then on, and nothing else: its owner is
//   woken (name()) and calls pull().
// - Between two reads a connection with nothing half-received holds no input buffer: an owner that
//   calls prepare() only when the socket is readable pays a few hundred bytes for an idle client.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/backend/lane.h"
#include "common/base/time.h"
#include "common/replication/routing.h"
#include "common/service/server.h"
#include "common/service/store.h"

namespace tandem::service {

struct connection_limits {
  unsigned requests_per_event = 20;  // memcached's -R; a get counts once per 100 keys
  std::size_t output_limit = std::size_t{256} << 10;  // unsent reply bytes before reading stops
  bool authenticate = false;  // the client must say who it is first (server::authenticate)
  // What comes was sent on by the peer: it is executed here whatever the routes say, and its
  // replies do not wait; what it changed is told by changed().
  bool from_peer = false;
};

class connection {
 public:
  // The store, statistics and server outlive the connection.
  connection(store& data, worker_statistics& statistics, server& host,
             const connection_limits& limits);
  ~connection();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  // How the client is called in `watch` (memcached: its descriptor), and who is to be told that
  // pull() may have something. The waker outlives the connection. Before the first byte.
  void name(int client, watch_waker* waker);
  // Takes into the output what has come for a watcher, as far as there is room. Leaves the span of
  // prepare() alone.
  void pull();

  // The data is with a backend, and not in the store: commands on it go through the lanes, and the
  // sink, which belongs to the thread `home`, passes what it is answered on to answered(). Before
  // the first byte. The connection must not end while it relays().
  void relay_to(backend::lanes& lanes, backend::reply_sink& sink, std::uint16_t home);
  void answered(const backend::expected& to, std::string_view reply, instant now);
  // Requests are under way.
  bool relays() const noexcept;
  // Replies to requests that came together are worth waiting for, and go out together; not if there
  // is much to send already.
  bool gathers() noexcept;

  // Where the next bytes from the client go; never empty while wants_read().
  std::span<char> prepare();
  // `n` bytes were put at the start of the last prepare()'s span.
  void received(std::size_t n, instant now);
  // The client is done sending: what is buffered is still answered.
  void received_end();

  // Complete requests are waiting although the event's share is used up (or output was full and
  // now is not): call resume().
  bool has_more() const noexcept;
  void resume(instant now);

  // Replies wait until the peer has what they tell of (replication.ack): call look() when the gate
  // has changed and, at the latest, about the gate's time-out later. output() has what goes before
  // them.
  bool waits() const noexcept;
  void look(instant now);
  // ack_gate::changes() at the last look.
  std::uint64_t seen() const noexcept;

  // A request that the peer is to execute, of one or more whole commands; null: none. While it is
  // on its way nothing more is read or executed. The answer comes by forwarded(), whose `bytes` are
  // the replies, if there are any.
  const std::string* to_forward();
  bool forwards() const noexcept;
  void forwarded(replication::forward_outcome outcome, std::string_view bytes, instant now);
  // With from_peer: what was changed so far.
  std::vector<replication::mutation_mark>& changed() noexcept;

  // The unsent reply bytes in order: fills at most pieces.size() of them, returns how many.
  // Pieces stay valid until sent() or the next received()/resume().
  std::size_t output(std::span<std::string_view> pieces) const;
  bool has_output() const noexcept;
  void sent(std::size_t n);

  bool wants_read() const noexcept;
  // The next bytes belong to a value.
  bool inside_value() const noexcept;
  // Close as soon as the output is sent and none waits (quit, a protocol violation, end of input).
  bool wants_close() const noexcept;
  // Whether it was the client who ended it, by a command or the end of its input.
  bool left() const noexcept;
  // It sent `watch`.
  bool watches() const noexcept;
  // Bytes of memory held by buffers (not by item values).
  std::size_t buffered_bytes() const noexcept;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

}  // namespace tandem::service
