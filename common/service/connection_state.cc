#include "common/service/connection_state.h"

#include <algorithm>

#include "common/protocol/parser.h"
#include "common/protocol/tokens.h"
#include "common/service/storage.h"

namespace tandem::service {

using protocol::action;
using protocol::request;
using protocol::verb;
namespace reply = protocol::reply;

namespace {

// So many keys of one get count as a request.
constexpr unsigned keys_per_share = 100;

}  // namespace

void connection::state::run(instant now) {
  execution with{data, counts, host, out, now, mutated};
  unsigned share = limits.requests_per_event;
  stalled = false;
  while (at != stage::closed) {
    if (share == 0 || !has_room()) {
      stalled = at == stage::keys || !in.empty();
      if (stalled && share == 0) counts.conn_yields.add();
      break;
    }
    if (step(with) == progress::waiting) break;
    --share;
  }
  if (in.empty()) in.shrink(0);
  if (!mutated) return;
  mutated = false;
  host.mutated();
}

connection::state::progress connection::state::step(execution& with) {
  switch (at) {
    case stage::line:
      return step_line(with);
    case stage::keys:
      return step_keys(with);
    case stage::block:
      return step_block(with);
    case stage::place:
      return step_place();
    case stage::place_end:
      return step_place_end(with);
    case stage::swallow:
      return step_swallow();
    case stage::closed:
      break;
  }
  return progress::waiting;
}

connection::state::progress connection::state::step_line(execution& with) {
  switch (finder.find(in.view())) {
    case protocol::line_status::incomplete:
      return progress::waiting;
    case protocol::line_status::too_long:
      close();
      return progress::worked;
    case protocol::line_status::complete:
      break;
  }
  const std::size_t line_size = finder.size();
  finder.restart();
  const request r = protocol::parse_line(in.view().substr(0, line_size));
  switch (r.todo) {
    case action::run:
      return start(with, r, line_size);
    case action::close:
      close();
      return progress::worked;
    case action::refuse:
      break;
  }
  in.consume(line_size);
  const std::string_view answer = r.noreply ? std::string_view() : r.error;
  if (r.has_block)
    swallow(block_size(r), answer);
  else
    out.append(answer);
  return progress::worked;
}

connection::state::progress connection::state::start(execution& with, const request& r,
                                                     std::size_t line_size) {
  switch (r.what) {
    case verb::get:
    case verb::gets:
    case verb::gat:
    case verb::gats:
      pending = r;
      keys_begin = static_cast<std::size_t>(r.rest.data() - in.view().data());
      keys_end = keys_begin + r.rest.size();
      keys_line = line_size;
      at = stage::keys;
      return step_keys(with);
    case verb::set:
    case verb::add:
    case verb::replace:
    case verb::append:
    case verb::prepend:
    case verb::cas:
      return start_block(with, r, line_size);
    case verb::quit:
      close();
      return progress::worked;
    default:
      execute(with, r);
      in.consume(line_size);
      return progress::worked;
  }
}

connection::state::progress connection::state::start_block(execution& with, const request& r,
                                                           std::size_t line_size) {
  const bool large = r.value_bytes >= engine::large_value_min;
  if (!large && in.size() - line_size >= block_size(r)) {
    finish_block(with, r, in.view().substr(line_size, block_size(r)));
    in.consume(line_size + block_size(r));
    return progress::worked;
  }
  remember(r);
  in.consume(line_size);
  if (!large) {
    at = stage::block;
    return progress::waiting;
  }
  std::string_view refusal;
  if (reserve_block(with, pending, place, refusal)) {
    filled = 0;
    at = stage::place;
  } else {
    swallow(block_size(pending), pending.noreply ? std::string_view() : refusal);
  }
  return progress::worked;
}

connection::state::progress connection::state::step_keys(execution& with) {
  const std::string_view text = in.view();
  protocol::token_cursor keys(text.substr(keys_begin, keys_end - keys_begin));
  for (unsigned i = 0; i < keys_per_share; ++i) {
    const std::string_view key = keys.next();
    if (key.empty()) {
      out.append(reply::end);
      in.consume(keys_line);
      at = stage::line;
      return progress::worked;
    }
    retrieve(with, pending, key);
    keys_begin = static_cast<std::size_t>(key.data() + key.size() - text.data());
    if (!has_room()) break;
  }
  return progress::worked;
}

connection::state::progress connection::state::step_block(execution& with) {
  if (in.size() < block_size(pending)) return progress::waiting;
  finish_block(with, pending, in.view().substr(0, block_size(pending)));
  in.consume(block_size(pending));
  at = stage::line;
  return progress::worked;
}

// `block`: the value and two bytes more.
void connection::state::finish_block(execution& with, const request& r, std::string_view block) {
  if (block.ends_with(reply::crlf))
    store_block(with, r, block.substr(0, r.value_bytes));
  else
    with.answer(r, reply::bad_data_chunk);
}

connection::state::progress connection::state::step_place() {
  const std::size_t n = std::min(in.size(), place->size() - filled);
  if (n != 0) place->write(filled, in.view().substr(0, n));
  in.consume(n);
  filled += n;
  if (filled < place->size()) return progress::waiting;
  at = stage::place_end;
  return progress::worked;
}

connection::state::progress connection::state::step_place_end(execution& with) {
  if (in.size() < reply::crlf.size()) return progress::waiting;
  if (in.view().starts_with(reply::crlf))
    store_block(with, pending, std::move(place));
  else
    with.answer(pending, reply::bad_data_chunk);
  place.reset();
  in.consume(reply::crlf.size());
  at = stage::line;
  return progress::worked;
}

connection::state::progress connection::state::step_swallow() {
  const std::size_t n = std::min(in.size(), to_swallow);
  in.consume(n);
  to_swallow -= n;
  if (to_swallow != 0) return progress::waiting;
  out.append(after_swallow);
  at = stage::line;
  return progress::worked;
}

// The line is about to leave the buffer.
void connection::state::remember(const request& r) {
  pending_key.assign(r.key);
  pending = r;
  pending.key = pending_key;
  pending.rest = {};
}

void connection::state::swallow(std::size_t n, std::string_view then) {
  to_swallow = n;
  after_swallow = then;
  at = stage::swallow;
}

void connection::state::close() {
  at = stage::closed;
  in.consume(in.size());
  place.reset();
}

}  // namespace tandem::service
