// The requests at the front of a connection's input, and what they will touch on its way into the
// processor's cache.
#include "common/protocol/parser.h"
#include "common/protocol/tokens.h"
#include "common/service/connection_state.h"

namespace tandem::service {

using protocol::action;

namespace {

// `line` is whole.
parsed_line parse(std::string_view line) {
  parsed_line parsed{{protocol::parse_line(line)}, line.size()};
  command& r = parsed.what;
  if (r.todo != action::run) {
    r.key = {};
    return parsed;
  }
  if (protocol::asks_for_keys(r.what)) r.key = protocol::token_cursor(r.rest).next();
  if (!r.key.empty()) r.hash = hash_key(static_cast<const hashed_key&>(command_key(r)).key);
  return parsed;
}

}  // namespace

// Parses as many complete lines as the event may execute and starts to fetch what they will touch.
// Ends behind a request that has no key or does not stand there whole: where the next one starts is
// then not known yet. Complete: there is at least one.
protocol::line_status connection::state::look_ahead(lookahead& ahead, unsigned share) {
  ahead.clear();
  std::string_view rest = in.view();
  while (ahead.size() < share && !ahead.full()) {
    const auto found = finder.find(rest);
    if (found != protocol::line_status::complete) {
      if (ahead.empty()) return found;
      break;
    }
    const parsed_line& line = ahead.add(parse(rest.substr(0, finder.size())));
    finder.restart();
    if (line.what.key.empty()) break;
    if (!away_to) data.prefetch_index(line.what.hash);
    const std::size_t whole = line.size + (line.what.has_block ? block_size(line.what) : 0);
    if (whole >= rest.size()) break;
    rest.remove_prefix(whole);
  }
  // For a single one there is no time to gain.
  if (ahead.size() > 1 && !away_to)
    for (const parsed_line& line : ahead.view())
      if (!line.what.key.empty()) data.prefetch_item(line.what.hash);
  return protocol::line_status::complete;
}

}  // namespace tandem::service
