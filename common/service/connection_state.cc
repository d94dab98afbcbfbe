#include "common/service/connection_state.h"

#include <algorithm>

#include "common/protocol/tokens.h"
#include "common/service/maintenance.h"
#include "common/service/storage.h"

namespace tandem::service {

using protocol::action;
using protocol::verb;
namespace reply = protocol::reply;

namespace {

// So many keys of one get count as a request.
constexpr unsigned keys_per_share = 100;

}  // namespace

void connection::state::run(instant now) {
  execution with{data, counts, host, out, now, mutated, client};
  if (held) with.tickets = &held->notes();
  if (limits.from_peer) with.tickets = &changed;
  lookahead ahead;
  unsigned share = limits.requests_per_event;
  stalled = false;
  while (at != stage::closed) {
    if (share == 0 || !has_room()) {
      stalled = at == stage::keys || at == stage::dump || !in.empty();
      if (stalled && share == 0) counts.conn_yields.add();
      break;
    }
    const bool holds = held != nullptr && away_to == nullptr;
    if ((holds ? step_and_hold(with, ahead, share) : step(with, ahead, share)) == progress::waiting)
      break;
    --share;
  }
  if (away_to) (void)away_to->gathers();
  if (held) look(now);
  if (!ahead.empty()) finder.restart();  // they will be looked at again
  if (in.empty()) in.shrink(0);
  if (!mutated) return;
  mutated = false;
  host.mutated();
}

// A step executes one command, or some keys of one.
connection::state::progress connection::state::step_and_hold(execution& with, lookahead& ahead,
                                                             unsigned share) {
  held->begin(out.end());
  const progress came_to = step(with, ahead, share);
  held->finish(out.end(), at == stage::keys, with.now);
  return came_to;
}

void connection::state::look(instant now) {
  if (held->look(out, now)) host.acknowledgement_late();
  if (!held->abandoned()) return;
  in.consume(keys_line);
  at = stage::line;
}

connection::state::progress connection::state::step(execution& with, lookahead& ahead,
                                                    unsigned share) {
  switch (at) {
    case stage::line:
      return step_line(with, ahead, share);
    case stage::keys:
      return step_keys(with);
    case stage::block:
      return step_block(with);
    case stage::place:
      return step_place(with);
    case stage::place_end:
      return step_place_end(with);
    case stage::swallow:
      return step_swallow();
    case stage::gather:
      return step_gather();
    case stage::away:
      return progress::waiting;
    case stage::login:
      return step_authentication();
    case stage::dump:
      return step_dump(with);
    case stage::watch:
      in.consume(in.size());
      return progress::waiting;
    case stage::closed:
      break;
  }
  return progress::waiting;
}

connection::state::progress connection::state::step_line(execution& with, lookahead& ahead,
                                                         unsigned share) {
  if (ahead.empty()) {
    switch (look_ahead(ahead, share)) {
      case protocol::line_status::incomplete:
        return progress::waiting;
      case protocol::line_status::too_long:
        close();
        return progress::worked;
      case protocol::line_status::complete:
        break;
    }
  }
  const parsed_line& line = ahead.take();
  const command& r = line.what;
  // A NUL ends a line for memcached, and the rest would be a command of its own.
  const bool unfit = away_to && in.view().substr(0, line.size).find('\0') != std::string_view::npos;
  if (away_to && !away_to->idle() &&
      (unfit || !is_relayed(r) || (routes != nullptr && place_of(r, with.now)))) {
    away_to->wait_until_idle();
    ahead.clear();
    finder.restart();
    return progress::worked;  // has_room() stops it
  }
  switch (unfit ? action::refuse : r.todo) {
    case action::run:
      return start(with, r, line.size);
    case action::close:
      close();
      return progress::worked;
    case action::refuse:
      break;
  }
  in.consume(line.size);
  const std::string_view error = unfit && r.error.empty() ? reply::bad_format : r.error;
  const std::string_view answer = r.noreply ? std::string_view() : error;
  if (r.has_block)
    swallow(block_size(r), answer);
  else
    out.append(answer);
  return progress::worked;
}

connection::state::progress connection::state::start(execution& with, const command& r,
                                                     std::size_t line_size) {
  if (routes != nullptr) {
    if (const auto where = place_of(r, with.now))
      return start_elsewhere(r, line_size, *where, with.now);
    if (away) away->by.reset();
  }
  if (away_to) {
    if (r.what == verb::flush_all) return relay_flush(r, line_size, with.now);
    if (is_relayed(r))
      return r.has_block ? start_relayed_block(r, line_size, with.now)
                         : start_relayed(r, line_size, with.now);
  }
  switch (r.what) {
    case verb::get:
    case verb::gets:
    case verb::gat:
    case verb::gats:
      return start_retrieval(with, r, line_size);
    case verb::set:
    case verb::add:
    case verb::replace:
    case verb::append:
    case verb::prepend:
    case verb::cas:
    case verb::meta_set:
      return start_block(with, r, line_size);
    case verb::quit:
      left = true;
      close();
      return progress::worked;
    case verb::shutdown:
      in.consume(line_size);
      left = shut_down(with, r);
      if (left) close();
      return progress::worked;
    case verb::watch:
      start_watch(r.rest);
      in.consume(line_size);
      return progress::worked;
    case verb::lru_crawler:
      dump = answer_lru_crawler(with, r.rest);
      if (dump) at = stage::dump;
      in.consume(line_size);
      return progress::worked;
    default:
      execute(with, r);
      in.consume(line_size);
      return progress::worked;
  }
}

connection::state::progress connection::state::start_retrieval(execution& with, const command& r,
                                                               std::size_t line_size) {
  if (r.key.size() == r.rest.size()) {  // a single key
    retrieve(with, r, {r.key, r.hash});
    out.append(reply::end);
    in.consume(line_size);
    return progress::worked;
  }
  pending = r;
  keys_begin = static_cast<std::size_t>(r.rest.data() - in.view().data());
  keys_end = keys_begin + r.rest.size();
  keys_line = line_size;
  at = stage::keys;
  return step_keys(with);
}

connection::state::progress connection::state::start_block(execution& with, const command& r,
                                                           std::size_t line_size) {
  const bool large = r.value_bytes >= placed_block_min;
  if (in.size() - line_size >= block_size(r)) {
    finish_block(with, r, in.view().substr(line_size, block_size(r)));
    in.consume(line_size + block_size(r));
    return progress::worked;
  }
  if (routes != nullptr && routes->covers(r)) {
    // Who executes it may have changed by the time it is there.
    if (!large) return await_whole(line_size + block_size(r));
    keep_line(line_size);
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
  if (away_to) return step_relayed_keys(with.now);
  const std::string_view text = in.view();
  protocol::token_cursor rest(text.substr(keys_begin, keys_end - keys_begin));
  for (unsigned share = keys_per_share; share != 0 && has_room();) {
    batch<hashed_key, batch_size_max> keys;
    for (; share != 0 && !keys.full() && !rest.rest().empty(); --share)
      data.prefetch_index(keys.add(hashed_key(rest.next())).hash);
    if (keys.empty()) {
      out.append(reply::end);
      in.consume(keys_line);
      at = stage::line;
      break;
    }
    for (const hashed_key& k : keys.view()) data.prefetch_item(k.hash);
    while (!keys.empty() && has_room()) {
      const hashed_key& k = keys.take();
      retrieve(with, pending, k);
      keys_begin = static_cast<std::size_t>(k.key.data() + k.key.size() - text.data());
    }
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
void connection::state::finish_block(execution& with, const command& r, std::string_view block) {
  if (away_to) return finish_relayed_block(r, block, with.now);
  if (block.ends_with(reply::crlf))
    store_block(with, r, block.substr(0, r.value_bytes));
  else
    with.answer(r, reply::bad_data_chunk);
}

connection::state::progress connection::state::step_place(execution& with) {
  const std::size_t n = std::min(in.size(), place->granted() - filled);
  if (n != 0) place->write(filled, in.view().substr(0, n));
  in.consume(n);
  filled += n;
  if (filled == place->size()) {
    at = stage::place_end;
    return progress::worked;
  }
  if (filled < place->granted()) return progress::waiting;
  std::string_view refusal;
  if (!extend_block(with, pending, *place, refusal)) {
    place.reset();
    swallow(block_size(pending) - filled, pending.noreply ? std::string_view() : refusal);
  }
  return progress::worked;
}

connection::state::progress connection::state::step_place_end(execution& with) {
  if (in.size() < reply::crlf.size()) return progress::waiting;
  const bool good = in.view().starts_with(reply::crlf);
  if (good && routes != nullptr) {
    if (const auto where = place_of(pending, with.now)) return place_elsewhere(*where, with.now);
    if (away) away->by.reset();
  }
  if (good)
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
  say(after_swallow);
  at = stage::line;
  return progress::worked;
}

connection::state::progress connection::state::step_dump(execution& with) {
  if (!dump->step(data, out, with.now)) return progress::worked;
  dump.reset();
  at = stage::line;
  return progress::worked;
}

// What was asked for before is answered first: memcached refuses it in such company, because
// another thread takes the connection over there.
void connection::state::start_watch(std::string_view kinds) {
  if (!host.policy().watch) return out.append(reply::no_watch);
  unsigned wanted = 0;
  protocol::token_cursor words(kinds);
  for (auto word = words.next(); !word.empty(); word = words.next()) {
    const unsigned kind = watch::kind_of(word);
    if (kind == 0) return out.append(reply::unknown_command);
    wanted |= kind;
  }
  watcher = host.watchers().add(wanted == 0 ? watch::fetchers : wanted, waker);
  if (!watcher) return out.append(reply::too_many_watchers);
  out.append(reply::ok);
  at = stage::watch;
}

// As much as there is room for; the hub keeps the rest.
void connection::state::take_watched() {
  if (watcher && has_room()) watcher->take(limits.output_limit - out.size(), out);
}

// The line is about to leave the buffer.
void connection::state::remember(const command& r) {
  pending_words.assign(r.key).append(r.rest);
  pending = r;
  pending.key = std::string_view(pending_words).substr(0, r.key.size());
  pending.rest = std::string_view(pending_words).substr(r.key.size());
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
  dump.reset();
  watcher.reset();
}

}  // namespace tandem::service
