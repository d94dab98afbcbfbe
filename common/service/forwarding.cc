// A connection's commands that the peer has to execute: found at the front of the input, handed out
// together, and answered where their replies would stand. The input keeps them until then, so that
// they can be looked at again if the roles change under way.
#include <algorithm>
#include <utility>

#include "common/engine/large_value.h"
#include "common/protocol/parser.h"
#include "common/protocol/tokens.h"
#include "common/service/connection_state.h"

namespace tandem::service {

using protocol::verb;
using replication::forward_outcome;
namespace reply = protocol::reply;

namespace {

constexpr std::size_t together_bytes_max = std::size_t{64} << 10;
constexpr unsigned together_max = 64;  // commands
constexpr std::size_t request_bytes_max = std::size_t{2} << 20;

bool retrieves(verb what) {
  return protocol::asks_for_keys(what) || what == verb::meta_get;
}

// Of a retrieval, whether all of it is here.
bool all_here(store& data, const command& r, instant now) {
  if (r.what == verb::meta_get) {
    const command_key key(r);
    return data.lock(key, now).find(key, false).has_value();
  }
  protocol::token_cursor keys(r.rest);
  for (auto word = keys.next(); !word.empty(); word = keys.next()) {
    const hashed_key key(word);
    if (!data.lock(key, now).find(key, false)) return false;
  }
  return true;
}

std::size_t whole_size(const command& r, std::size_t line_size) {
  return line_size + (r.has_block ? block_size(r) : 0);
}

}  // namespace

// Nothing: here, as ever.
std::optional<write_place> connection::state::place_of(const command& r, instant now) {
  if (r.what == verb::flush_all && !host.policy().flush_all) return std::nullopt;
  if (const write_place where = routes->writes(); where != write_place::here && routes->covers(r))
    return where;
  if (routes->reads_through() && retrieves(r.what) && !all_here(data, r, now))
    return write_place::peer;
  return std::nullopt;
}

// Why a command of `whole` bytes is not sent there; empty: it is.
std::string_view connection::state::refusal(write_place where, std::size_t whole,
                                            instant now) const {
  if (whole > request_bytes_max) return reply::too_large_to_forward;
  if (away->by && *away->by <= now.steady) return reply::no_answer;
  return where == write_place::refuse ? reply::no_master : std::string_view();
}

connection::state::progress connection::state::start_elsewhere(const command& r,
                                                               std::size_t line_size,
                                                               write_place where, instant now) {
  if (!away) away = std::make_unique<forwarding>();
  const std::size_t whole = whole_size(r, line_size);
  if (const std::string_view why = refusal(where, whole, now); !why.empty()) {
    const std::string_view told = r.noreply ? std::string_view() : why;
    away->by.reset();
    in.consume(line_size);
    if (r.has_block)
      swallow(block_size(r), told);
    else
      out.append(told);
    return progress::worked;
  }
  if (in.size() < whole) return await_whole(whole);
  away->size = whole;
  away->replies = r.noreply ? 0 : 1;
  gather_more(r);
  return send_away(std::string(in.view().substr(0, away->size)), now);
}

// The block has been received into its place, and the CR LF behind it is all that is left of the
// command in the input.
connection::state::progress connection::state::place_elsewhere(write_place where, instant now) {
  const std::size_t whole = away->line.size() + block_size(pending);
  if (const std::string_view why = refusal(where, whole, now); !why.empty()) {
    away->by.reset();
    if (!pending.noreply) out.append(why);
    place.reset();
    in.consume(reply::crlf.size());
    at = stage::line;
    return progress::worked;
  }
  std::string bytes;
  bytes.reserve(whole);
  bytes.append(away->line);
  for (std::size_t i = 0; i < place->size();) {
    const std::string_view piece = engine::piece_of(place.get(), {}, i);
    bytes.append(piece);
    i += piece.size();
  }
  bytes.append(reply::crlf);
  away->size = reply::crlf.size();
  away->replies = pending.noreply ? 0 : 1;
  away->placed = true;
  return send_away(std::move(bytes), now);
}

connection::state::progress connection::state::await_whole(std::size_t whole) {
  if (!away) away = std::make_unique<forwarding>();
  away->size = whole;
  at = stage::gather;
  return progress::waiting;
}

void connection::state::keep_line(std::size_t size) {
  if (!away) away = std::make_unique<forwarding>();
  away->line = in.view().substr(0, size);
}

// It is looked at again: who executes it may have changed.
connection::state::progress connection::state::step_gather() {
  if (in.size() < away->size) return progress::waiting;
  at = stage::line;
  return progress::worked;
}

// What stands behind a command that is sent on goes with it. A retrieval may have a long answer,
// and is alone.
void connection::state::gather_more(const command& first) {
  verb last = first.what;
  for (unsigned count = 1;
       !retrieves(last) && count < together_max && away->size < together_bytes_max; ++count) {
    const std::string_view rest = in.view().substr(away->size);
    const std::size_t line = rest.find('\n') + 1;
    if (line == 0 || line > together_bytes_max) break;
    command r{protocol::parse_line(rest.substr(0, line))};
    if (r.todo != protocol::action::run || retrieves(r.what)) break;
    if (!r.key.empty()) r.hash = hash_key(static_cast<const hashed_key&>(command_key(r)).key);
    const std::size_t whole = whole_size(r, line);
    if (whole > rest.size() || away->size + whole > request_bytes_max || !routes->covers(r)) break;
    away->size += whole;
    away->replies += r.noreply ? 0 : 1;
    last = r.what;
  }
}

connection::state::progress connection::state::send_away(std::string bytes, instant now) {
  if (!away->by) away->by = now.steady + routes->timeout();
  away->bytes = std::move(bytes);
  away->taken = false;
  at = stage::away;
  return progress::waiting;
}

void connection::state::back(forward_outcome outcome, std::string_view bytes, instant now) {
  if (at != stage::away) return;
  const bool placed = std::exchange(away->placed, false);
  away->bytes = {};
  at = placed && outcome == forward_outcome::elsewhere ? stage::place_end : stage::line;
  finder.restart();
  if (outcome != forward_outcome::elsewhere) {
    if (outcome == forward_outcome::answered)
      out.append(bytes);
    else
      for (unsigned i = 0; i < away->replies; ++i) out.append(reply::no_answer);
    in.consume(away->size);
    if (placed) place.reset();
    away->by.reset();
  }
  run(now);
}

}  // namespace tandem::service
