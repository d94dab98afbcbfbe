// The inside of a connection: the stages of its request stream and the steps between them. For
// connection.cc and connection_state.cc only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/byte_buffer.h"
#include "common/protocol/lines.h"
#include "common/protocol/reply.h"
#include "common/service/batch.h"
#include "common/service/connection.h"
#include "common/service/executor.h"
#include "common/service/held_replies.h"
#include "common/service/key_dump.h"
#include "common/service/output.h"
#include "common/service/relay.h"
#include "common/service/routes.h"
#include "common/service/watch_hub.h"

namespace tandem::service {

// How much room a read gets: little, until a client fills it; little again after some short reads.
constexpr std::size_t read_size_small = 2 * 1024;
constexpr std::size_t read_size_large = 16 * 1024;
constexpr unsigned short_reads_max = 8;

// A data block: the value and the two bytes that should be CR LF.
constexpr std::size_t block_size(const protocol::request& r) {
  return std::size_t{r.value_bytes} + protocol::reply::crlf.size();
}

// The requests at the front of the input, parsed, hashed and with their data on its way into the
// cache, before the first of them is executed. A look-up waits for memory twice, for the index and
// for the item; a batch of them waits little more often than one. (Measured with 5 M items: a get
// of a pipeline takes half the time, a key of a multi-get a third.)
struct parsed_line {
  command what;
  std::size_t size;  // of the line
};
constexpr std::size_t batch_size_max = 32;
using lookahead = batch<parsed_line, batch_size_max>;

// Where in the stream of requests the connection stands.
enum class stage : std::uint8_t {
  line,       // at the start of a line
  keys,       // inside the line of a retrieval: some keys are not answered yet
  block,      // waits for a small data block to be there whole
  place,      // receives a large data block into its place
  place_end,  // waits for the CR LF behind it
  gather,     // waits for a command that the peer may have to execute to be there whole
  away,       // waits for the peer's answer
  login,      // waits for the client to say who it is (authentication.cc)
  swallow,    // throws a data block away, then answers
  dump,       // sends all keys, as there is room
  watch,      // sends what happens, and ignores what it receives
  closed,     // reads no more
};

using replication::write_place;

// The commands at the front of the input that the peer executes.
struct forwarding {
  std::size_t size = 0;           // bytes of the input; they stay there until it has answered
  std::string line;               // of the command whose block is received into its place
  unsigned replies = 0;           // what its clients wait for
  bool placed = false;            // of stage away: that block is a part of the request
  bool taken = false;             // by to_forward()
  std::string bytes;              // the request
  std::optional<steady_time> by;  // when the first of them has been tried for long enough
};

struct connection::state {
  state(store& the_store, worker_statistics& statistics, server& the_server,
        const connection_limits& the_limits)
      : data(the_store),
        counts(statistics),
        host(the_server),
        limits(the_limits),
        held(the_server.acks() == nullptr || limits.from_peer
                 ? nullptr
                 : std::make_unique<held_replies>(*the_server.acks())),
        routes(limits.from_peer ? nullptr : the_server.routes()),
        at(the_limits.authenticate ? stage::login : stage::line) {}

  // What a step came to.
  enum class progress { worked, waiting };

  void run(instant now);
  progress step_and_hold(execution& with, lookahead& ahead, unsigned share);
  void look(instant now);
  progress step(execution& with, lookahead& ahead, unsigned share);
  protocol::line_status look_ahead(lookahead& ahead, unsigned share);
  progress step_line(execution& with, lookahead& ahead, unsigned share);
  progress start(execution& with, const command& r, std::size_t line_size);
  progress start_retrieval(execution& with, const command& r, std::size_t line_size);
  progress start_block(execution& with, const command& r, std::size_t line_size);
  progress step_keys(execution& with);
  progress step_block(execution& with);
  progress step_place(execution& with);
  progress step_place_end(execution& with);
  progress step_swallow();
  // --- commands that the peer executes (forwarding.cc)
  std::optional<write_place> place_of(const command& r, instant now);
  progress start_elsewhere(const command& r, std::size_t line_size, write_place where, instant now);
  progress place_elsewhere(write_place where, instant now);
  std::string_view refusal(write_place where, std::size_t whole, instant now) const;
  progress await_whole(std::size_t whole);
  void keep_line(std::size_t size);
  progress step_gather();
  void gather_more(const command& first);
  progress send_away(std::string bytes, instant now);
  void back(replication::forward_outcome outcome, std::string_view bytes, instant now);
  // --- commands that a backend executes (relay.cc)
  static bool is_relayed(const command& r);
  progress start_relayed(const command& r, std::size_t line_size, instant now);
  progress start_relayed_block(const command& r, std::size_t line_size, instant now);
  progress step_relayed_keys(instant now);
  progress relay_flush(const command& r, std::size_t line_size, instant now);
  void finish_relayed_block(const command& r, std::string_view block, instant now);
  void send_to_backend(const command& r, std::string_view block, instant now);
  void send_key_to_backend(std::string_view key, bool last, instant now);
  void answered(const backend::expected& to, std::string_view answer, instant now);
  progress step_authentication();
  std::string_view check_token(std::string_view block);
  progress step_dump(execution& with);
  void start_watch(std::string_view kinds);
  void take_watched();
  void finish_block(execution& with, const command& r, std::string_view block);
  void remember(const command& r);
  void swallow(std::size_t n, std::string_view then);
  void say(std::string_view line);
  void close();
  bool has_room() const {
    return out.size() < limits.output_limit && (held == nullptr || !held->full()) &&
           (away_to == nullptr || (!away_to->full() && !away_to->waits()));
  }
  // Of the output, what does not wait for the peer.
  std::size_t sendable() const { return held == nullptr ? out.size() : held->sendable(out); }

  store& data;
  worker_statistics& counts;
  server& host;
  const connection_limits limits;

  byte_buffer in;  // received, not yet parsed; in stage `keys` the line is still in it
  output_queue out;
  const std::unique_ptr<held_replies> held;  // null: no reply waits for the peer
  const write_routes* const routes;          // null: every command is executed here
  std::unique_ptr<forwarding> away;          // of stages gather and away; null: none yet
  std::unique_ptr<relay> away_to;            // null: the data is here
  ack_tickets changed{{}, true};             // with limits.from_peer
  protocol::line_finder finder;

  stage at;
  int client = 0;                // its name in `watch`
  watch_waker* waker = nullptr;  // null: nobody is to be told
  bool begun = false;            // something was received
  bool ended = false;            // nothing more will be
  bool left = false;             // by quit, or another command that closes
  bool stalled = false;          // stopped although there was something to do
  bool mutated = false;          // something was journaled in this event
  unsigned short_reads = 0;
  std::size_t read_size = read_size_small;
  std::size_t offered = 0;  // the size of the last span prepared

  command pending;                           // of every stage but line and closed
  std::string pending_words;                 // its key and flags, where the line is gone
  std::size_t keys_begin = 0, keys_end = 0;  // in `in`: the keys still to be answered
  std::size_t keys_line = 0;                 // the size of their line
  engine::large_ref place;
  std::size_t filled = 0;
  std::size_t to_swallow = 0;
  std::string_view after_swallow;               // a constant of reply.h, or empty
  std::unique_ptr<key_dump> dump;               // in stage dump
  std::unique_ptr<watch_hub::watcher> watcher;  // in stage watch
};

}  // namespace tandem::service
