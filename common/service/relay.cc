// A connection's commands on data that a backend keeps: sent there as they are read, answered as
// the replies come. Commands that this process answers by itself wait until those before them are.
#include "common/service/relay.h"

#include <utility>

#include "common/base/check.h"
#include "common/protocol/exptime.h"
#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"
#include "common/service/connection_state.h"

namespace tandem::service {

using backend::expected;
using backend::lane;
using protocol::verb;
namespace reply = protocol::reply;

// --- the order of replies ------------------------------------------------------------------------

expected relay::place(bool part, std::size_t bytes) {
  expected e;
  e.who = &sink_;
  e.home = home_;
  e.number = first_ + static_cast<std::uint32_t>(slots_.size());
  slot& s = slots_.emplace_back();
  s.part = part;
  s.sent = bytes;
  bytes_ += bytes;
  return e;
}

void relay::answer(std::uint32_t number, const result& what, output_queue& out, held_replies* held,
                   instant now) {
  const std::uint32_t at = number - first_;
  CHECK(at < slots_.size());
  slot& asked = slots_[at];
  bytes_ -= std::exchange(asked.sent, 0);
  if (at != 0) {
    asked.answered = true;
    asked.failed = what.failed;
    asked.bytes.assign(what.bytes).append(what.end);
    bytes_ += asked.bytes.size();
    if (what.ticket != nullptr) asked.ticket = *what.ticket;
    return;
  }
  send(slots_.front(), what, out, held, now);
  while (true) {
    slots_.pop_front();
    ++first_;
    if (slots_.empty() || !slots_.front().answered) break;
    const slot& s = slots_.front();
    bytes_ -= s.bytes.size();
    send(s, {s.bytes, s.failed, s.ticket ? &*s.ticket : nullptr}, out, held, now);
  }
  if (idle()) waits_ = false;
}

// A retrieval has one end: if a part of it fails, an error takes the place of what is left.
void relay::send(const slot& s, const result& what, output_queue& out, held_replies* held,
                 instant now) {
  if (what.ticket != nullptr) {
    held->begin(out.end());
    held->notes().list.push_back(*what.ticket);
  }
  if (broken_) {
    if (!s.part) out.append(reply::no_backend_answer);
  } else if (!what.failed || !s.part) {
    out.append(what.bytes);
    out.append(what.end);
  }
  broken_ = s.part && (broken_ || what.failed);
  if (what.ticket != nullptr) held->finish(out.end(), false, now);
}

// --- what a connection does with them ------------------------------------------------------------

namespace {

bool failed(std::string_view answer) {
  return answer.empty() || answer.starts_with("SERVER_ERROR") || answer.starts_with("ERROR");
}

bool has_hit(std::string_view answer) {
  return !answer.starts_with('N') && !answer.starts_with("EN");
}

void count(worker_statistics& counts, verb what, std::string_view answer) {
  const bool hit = has_hit(answer);
  const auto count_up = [&](counter& hits, counter& misses) { (hit ? hits : misses).add(); };
  switch (what) {
    case verb::get:
    case verb::gets:
    case verb::meta_get:
      counts.cmd_get.add();
      return count_up(counts.get_hits, counts.get_misses);
    case verb::gat:
    case verb::gats:
    case verb::touch:
      counts.cmd_touch.add();
      return count_up(counts.touch_hits, counts.touch_misses);
    case verb::remove:
    case verb::meta_delete:
      return count_up(counts.delete_hits, counts.delete_misses);
    case verb::incr:
      return count_up(counts.incr_hits, counts.incr_misses);
    case verb::decr:
      return count_up(counts.decr_hits, counts.decr_misses);
    case verb::cas:
      counts.cmd_set.add();
      if (answer.starts_with('E')) return counts.cas_badval.add();
      return count_up(counts.cas_hits, counts.cas_misses);
    case verb::set:
    case verb::add:
    case verb::replace:
    case verb::append:
    case verb::prepend:
    case verb::meta_set:
      return counts.cmd_set.add();
    case verb::flush_all:
      return counts.cmd_flush.add();
    case verb::meta_debug:
      return counts.cmd_meta.add();
    default:
      return;
  }
}

}  // namespace

// Those that name a key.
bool connection::state::is_relayed(const command& r) {
  return r.todo == protocol::action::run && !r.key.empty();
}

namespace {

// The expiry that a command gives its key, as the backend takes it.
void set_exptime(expected& e, const command& r, const backend::clock& clock, instant now) {
  std::int32_t sent = r.exptime;
  switch (r.what) {
    case verb::set:
    case verb::add:
    case verb::replace:
    case verb::cas:
    case verb::touch:
    case verb::gat:
    case verb::gats:
    case verb::flush_all:
      break;
    case verb::meta_set:
      sent = r.meta.ttl;
      break;
    case verb::meta_get:
    case verb::meta_delete:
    case verb::meta_arithmetic:
      if (!r.meta.has('T')) return;
      sent = r.meta.ttl;
      break;
    default:
      return;
  }
  e.sets_exptime = true;
  e.exptime = r.what == verb::flush_all ? protocol::absolute_exptime(sent, unix_seconds(now.wall))
                                        : clock.exptime(sent, now.wall);
}

}  // namespace

// `block`: of a storage command.
void connection::state::send_to_backend(const command& r, std::string_view block, instant now) {
  expected e = away_to->place(false, block.size());
  e.what = r.what;
  e.hash = r.hash;
  e.binary = r.meta.has('b');
  set_exptime(e, r, away_to->lanes().clock(), now);
  lane& to = away_to->lanes().of(r.hash);
  const command_key key(r);
  const hashed_key& meant = key;
  const backend::unique unique =
      to.explicit_cas() ? backend::unique(data.issue(meant, now).word()) : std::nullopt;
  {
    lane::access with(to);
    if (with.up() && away_to->lanes().admits()) {
      e.reply = backend::write_request(with.out(), r, block, unique);
      return with.add(e, meant.key);
    }
  }
  away_to->answer(e.number, {r.noreply ? std::string_view() : reply::no_backend, true}, out);
}

void connection::state::send_key_to_backend(std::string_view key, bool last, instant now) {
  const hashed_key meant(key);
  expected e = away_to->place(!last);
  e.what = pending.what;
  e.hash = meant.hash;
  set_exptime(e, pending, away_to->lanes().clock(), now);
  {
    lane::access with(away_to->lanes().of(meant.hash));
    if (with.up() && away_to->lanes().admits()) {
      e.reply = with.joins(pending.what) ? backend::join_retrieval(with.out(), key, last)
                                         : backend::write_retrieval(with.out(), pending, key, last);
      return with.add(e, key);
    }
  }
  away_to->answer(e.number, {reply::no_backend, true}, out);
}

connection::state::progress connection::state::start_relayed(const command& r,
                                                             std::size_t line_size, instant now) {
  if (protocol::asks_for_keys(r.what)) {
    pending = r;
    keys_begin = static_cast<std::size_t>(r.rest.data() - in.view().data());
    keys_end = keys_begin + r.rest.size();
    keys_line = line_size;
    at = stage::keys;
    return step_relayed_keys(now);
  }
  send_to_backend(r, {}, now);
  in.consume(line_size);
  return progress::worked;
}

connection::state::progress connection::state::step_relayed_keys(instant now) {
  const std::string_view text = in.view();
  protocol::token_cursor rest(text.substr(keys_begin, keys_end - keys_begin));
  while (has_room()) {
    const std::string_view key = rest.next();
    keys_begin = static_cast<std::size_t>(key.data() + key.size() - text.data());
    const bool last = rest.rest().empty();
    send_key_to_backend(key, last, now);
    if (!last) continue;
    in.consume(keys_line);
    at = stage::line;
    break;
  }
  return progress::worked;
}

// A block that the backend would refuse is not sent there, but what it was to replace goes, as
// memcached has it.
connection::state::progress connection::state::start_relayed_block(const command& r,
                                                                   std::size_t line_size,
                                                                   instant now) {
  bool fits = false;
  {
    const command_key key(r);
    const hashed_key& meant = key;
    fits = data.lock(meant, now).fits(meant.key.size(), r.value_bytes);
  }
  if (fits && in.size() - line_size >= block_size(r)) {
    finish_relayed_block(r, in.view().substr(line_size, block_size(r)), now);
    in.consume(line_size + block_size(r));
    return progress::worked;
  }
  // Who executes it may have changed by the time it is there.
  if (fits && routes != nullptr && routes->covers(r)) return await_whole(line_size + block_size(r));
  remember(r);
  in.consume(line_size);
  if (fits) {
    at = stage::block;
    return progress::waiting;
  }
  counts.store_too_large.add();
  if (r.what == verb::set || r.what == verb::meta_set) {
    command gone = pending;
    gone.what = r.what == verb::set ? verb::remove : verb::meta_delete;
    gone.noreply = true;
    gone.rest = gone.meta.has('b') ? "b q" : "q";
    gone.meta.seen =
        protocol::meta_flags::bit('q') | (gone.meta.seen & protocol::meta_flags::bit('b'));
    send_to_backend(gone, {}, now);
  }
  swallow(block_size(pending), pending.noreply ? std::string_view() : reply::too_large);
  return progress::worked;
}

void connection::state::finish_relayed_block(const command& r, std::string_view block,
                                             instant now) {
  if (block.ends_with(reply::crlf)) return send_to_backend(r, block, now);
  say(r.noreply ? std::string_view() : reply::bad_data_chunk);
}

// It concerns all lanes, so nothing overtakes it on any.
connection::state::progress connection::state::relay_flush(const command& r, std::size_t line_size,
                                                           instant now) {
  host.flush_requested(host.policy().flush_all);
  in.consume(line_size);
  if (!host.policy().flush_all) {
    if (!r.noreply) out.append(reply::no_flush_all);
    return progress::worked;
  }
  expected e = away_to->place(false);
  e.what = r.what;
  set_exptime(e, r, away_to->lanes().clock(), now);
  bool sent = false;
  {
    lane::access with(away_to->lanes().at(0));
    if (with.up() && away_to->lanes().admits()) {
      e.reply = backend::write_request(with.out(), r, {}, {});
      away_to->lanes().flush_begins();
      with.add(e, {});
      sent = true;
    }
  }
  if (!sent)
    away_to->answer(e.number, {r.noreply ? std::string_view() : reply::no_backend, true}, out);
  away_to->wait_until_idle();
  return progress::worked;
}

// Behind all that is still to be answered.
void connection::state::say(std::string_view line) {
  if (away_to && !away_to->idle())
    away_to->answer(away_to->place(false).number, {line}, out);
  else
    out.append(line);
}

void connection::state::answered(const expected& to, std::string_view answer, instant now) {
  const bool lost = answer.empty(), hears = to.reply.how != backend::treatment::nothing;
  if (!lost) count(counts, to.what, answer);
  const ack_ticket ticket{to.mark_slot, to.mark_position};
  relay::result what{backend::for_client(to.reply.how, answer), failed(answer)};
  if (to.goes_on && backend::is_value(answer)) {
    what.bytes = answer;
    if (to.reply.how == backend::treatment::as_is) what.end = reply::end;
  }
  if (lost && hears) what.bytes = reply::no_backend_answer;
  if (held && to.changed && hears) what.ticket = &ticket;
  if (limits.from_peer && to.changed) changed.list.push_back(ticket);
  away_to->answer(to.number, what, out, held.get(), now);
  if (held) look(now);
}

}  // namespace tandem::service
