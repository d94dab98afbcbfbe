// A connection's commands that the peer has to execute: found at the front of the input, handed out
// together, and answered where their replies would stand. The input keeps them until then, so that
// they can be looked at again if the roles change under way.
#include <algorithm>

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
  return what == verb::get || what == verb::gets || what == verb::gat || what == verb::gats ||
         what == verb::meta_get;
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

connection::state::progress connection::state::start_elsewhere(const command& r,
                                                               std::size_t line_size,
                                                               write_place where, instant now) {
  if (!away) away = std::make_unique<forwarding>();
  const bool late = away->by && *away->by <= now.steady;
  const std::size_t whole = whole_size(r, line_size);
  if (where == write_place::refuse || late || whole > request_bytes_max) {
    const std::string_view line = whole > request_bytes_max ? reply::too_large_to_forward
                                  : late                    ? reply::no_answer
                                                            : reply::no_master;
    const std::string_view told = r.noreply ? std::string_view() : line;
    away->by.reset();
    in.consume(line_size);
    if (r.has_block)
      swallow(block_size(r), told);
    else
      out.append(told);
    return progress::worked;
  }
  if (!away->by) away->by = now.steady + routes->timeout();
  away->size = whole;
  away->replies = r.noreply ? 0 : 1;
  // A retrieval may have a long answer, and is alone.
  pending.what = r.what;
  at = stage::gather;
  return step_gather();
}

connection::state::progress connection::state::step_gather() {
  if (in.size() < away->size) return progress::waiting;
  unsigned count = 1;
  while (!retrieves(pending.what) && count < together_max && away->size < together_bytes_max) {
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
    ++count;
  }
  away->bytes.assign(in.view().substr(0, away->size));
  away->taken = false;
  at = stage::away;
  return progress::waiting;
}

void connection::state::back(forward_outcome outcome, std::string_view bytes, instant now) {
  if (at != stage::away) return;
  away->bytes = {};
  at = stage::line;
  finder.restart();
  if (outcome != forward_outcome::elsewhere) {
    if (outcome == forward_outcome::answered)
      out.append(bytes);
    else
      for (unsigned i = 0; i < away->replies; ++i) out.append(reply::no_answer);
    in.consume(away->size);
    away->by.reset();
  }
  run(now);
}

}  // namespace tandem::service
