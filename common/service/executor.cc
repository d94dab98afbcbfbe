#include "common/service/executor.h"

#include <algorithm>
#include <optional>
#include <string>

#include "common/base/check.h"
#include "common/protocol/exptime.h"
#include "common/protocol/numbers.h"
#include "common/protocol/reply.h"
#include "common/service/maintenance.h"
#include "common/service/meta.h"
#include "common/service/number.h"
#include "common/service/stats.h"
#include "common/service/watch_events.h"

namespace tandem::service {

using protocol::request;
using protocol::verb;
namespace reply = protocol::reply;

namespace {

void append_value(output_queue& out, std::string_view key, const engine::item_view& item,
                  bool with_cas) {
  char* const start =
      out.reserve(protocol::value_line_max + item.value.size() + reply::crlf.size()).data();
  char* const end =
      with_cas ? protocol::write_value_line(start, key, item.meta.flags, item.value_size(),
                                            item.meta.cas_unique())
               : protocol::write_value_line(start, key, item.meta.flags, item.value_size());
  append_block(out, start, end, item);
}

void remove(execution& with, const command& r) {
  if (with.host.prefixes().enabled()) with.host.prefixes().record_delete(r.key);
  const command_key key(r);
  bool found = false;
  {
    auto shard = with.data.lock(key, with.now);
    note_fetch(with, shard, key);
    note_delete(with, shard, key, "delete");
    found = shard.find(key, false).has_value();
    // Even where nothing is seen here: what was evicted here may still live at the peer.
    shard.remove(key);
    with.changed(r, shard);
  }
  (found ? with.counts.delete_hits : with.counts.delete_misses).add();
  with.answer(r, found ? reply::deleted : reply::not_found);
}

void change(execution& with, const command& r) {
  const bool up = r.what == verb::incr;
  const command_key key(r);
  std::optional<changed_number> changed;
  {
    auto shard = with.data.lock(key, with.now);
    note_fetch(with, shard, key);
    const auto item = shard.find(key, false);
    if (!item) {
      (up ? with.counts.incr_misses : with.counts.decr_misses).add();
      return with.answer(r, reply::not_found);
    }
    changed = change_number(*item, up, r.number);
    if (!changed) return with.answer(r, reply::not_a_number);
    (up ? with.counts.incr_hits : with.counts.decr_hits).add();
    const auto put = put_number(shard, key, *item, *changed, {item->meta.exptime, {}});
    const bool stored = put.status == engine::store_status::stored;
    note_store(with, shard, key, up ? "incr" : "decr",
               stored ? reply::stored : reply::no_room_for_number, changed->digits().size());
    if (!stored) return with.answer(r, reply::no_room_for_number);
    with.changed(r, shard);
  }
  char line[protocol::number_line_max];
  const char* const end = protocol::write_number_line(line, changed->value);
  with.answer(r, {line, static_cast<std::size_t>(end - line)});
}

void touch(execution& with, const command& r) {
  const command_key key(r);
  const std::uint32_t exptime = protocol::absolute_exptime(r.exptime, unix_seconds(with.now.wall));
  bool found = false;
  {
    auto shard = with.data.lock(key, with.now);
    note_fetch(with, shard, key);
    found = shard.touch(key, exptime);
    if (found) with.changed(r, shard);
  }
  with.counts.cmd_touch.add();
  (found ? with.counts.touch_hits : with.counts.touch_misses).add();
  with.answer(r, found ? reply::touched : reply::not_found);
}

void flush_all(execution& with, const request& r) {
  with.counts.cmd_flush.add();
  const bool allowed = with.host.policy().flush_all;
  with.host.flush_requested(allowed);
  if (!allowed) return with.answer(r, reply::no_flush_all);
  // A negative delay is none.
  const std::uint32_t at =
      r.exptime <= 0 ? 0 : protocol::absolute_exptime(r.exptime, unix_seconds(with.now.wall));
  const auto state = with.data.flush_all(at, with.now);
  with.changed(r, ack_ticket{with.data.shard_count(), state});
  with.answer(r, reply::ok);
}

void set_verbosity(execution& with, const request& r) {
  constexpr std::uint64_t verbosity_max = 9;
  with.host.set_verbosity(static_cast<int>(std::min(r.number, verbosity_max)));
  with.answer(r, reply::ok);
}

// Answered when the new limit is set; what is over a lower one is evicted step by step.
void set_memory_limit(execution& with, const request& r) {
  constexpr std::uint64_t megabytes_min = 8;
  constexpr std::uint64_t megabytes_max = 1'000'000'000;
  if (r.number < megabytes_min) return with.answer(r, reply::memory_limit_too_small);
  if (r.number > megabytes_max) return with.answer(r, reply::memory_limit_too_big);
  const bool adjusted = with.data.set_memory_limit(r.number << 20, with.now);
  with.answer(r, adjusted ? reply::ok : reply::memory_limit_out_of_bounds);
}

void refresh_certificates(execution& with) {
  const std::string error = with.host.refresh_certificates();
  if (error.empty()) return with.out.append(reply::ok);
  with.out.append(error);
  with.out.append(reply::crlf);
}

void answer_version(execution& with) {
  with.out.append("VERSION ");
  with.out.append(version_text);
  with.out.append(reply::crlf);
}

}  // namespace

void append_block(output_queue& out, char* start, char* end, const engine::item_view& item) {
  if (item.large) {
    out.commit(static_cast<std::size_t>(end - start));
    out.pin(*item.large);
    start = end = out.reserve(item.value.size() + reply::crlf.size()).data();
  }
  end = protocol::detail::copy(end, item.value);
  end = protocol::detail::copy(end, reply::crlf);
  out.commit(static_cast<std::size_t>(end - start));
}

void retrieve(execution& with, const command& r, const hashed_key& key) {
  const bool touching = r.what == verb::gat || r.what == verb::gats;
  const bool with_cas = r.what == verb::gets || r.what == verb::gats;
  bool found = false;
  {
    auto shard = with.data.lock(key, with.now);
    note_fetch(with, shard, key);
    if (const auto item = shard.find(key)) {
      found = true;
      append_value(with.out, key.key, *item, with_cas);
      if (touching) {
        shard.touch(key, protocol::absolute_exptime(r.exptime, unix_seconds(with.now.wall)));
        with.changed(r, shard);
      }
    }
  }
  if (touching) {
    with.counts.cmd_touch.add();
    (found ? with.counts.touch_hits : with.counts.touch_misses).add();
  } else {
    with.counts.cmd_get.add();
    (found ? with.counts.get_hits : with.counts.get_misses).add();
  }
  if (with.host.prefixes().enabled()) with.host.prefixes().record_get(key.key, found);
}

bool shut_down(execution& with, const request& r) {
  if (!with.host.policy().shutdown) {
    with.answer(r, reply::no_shutdown);
    return false;
  }
  const auto mode = static_cast<protocol::shutdown_mode>(r.number);
  if (mode == protocol::shutdown_mode::unknown) {
    with.answer(r, reply::bad_shutdown);
    return false;
  }
  with.host.shut_down(mode == protocol::shutdown_mode::graceful);
  return true;
}

void execute(execution& with, const command& r) {
  switch (r.what) {
    case verb::remove:
      return remove(with, r);
    case verb::incr:
    case verb::decr:
      return change(with, r);
    case verb::touch:
      return touch(with, r);
    case verb::flush_all:
      return flush_all(with, r);
    case verb::verbosity:
      return set_verbosity(with, r);
    case verb::cache_memlimit:
      return set_memory_limit(with, r);
    case verb::refresh_certs:
      return refresh_certificates(with);
    case verb::version:
      return answer_version(with);
    case verb::stats:
      return answer_stats(with, r.rest);
    case verb::slabs:
      return answer_slabs_command(with, r.rest);
    case verb::lru:
      return with.answer(r, lru_answer(r.rest));
    case verb::meta_get:
      return meta_get(with, r);
    case verb::meta_delete:
      return meta_delete(with, r);
    case verb::meta_arithmetic:
      return meta_arithmetic(with, r);
    case verb::meta_debug:
      return meta_debug(with, r);
    case verb::meta_noop:
      return with.out.append(reply::meta_noop);
    case verb::get:
    case verb::gets:
    case verb::gat:
    case verb::gats:
    case verb::set:
    case verb::add:
    case verb::replace:
    case verb::append:
    case verb::prepend:
    case verb::cas:
    case verb::meta_set:
    case verb::quit:
    case verb::shutdown:
    case verb::watch:
    case verb::lru_crawler:
    case verb::unknown:
      break;
  }
  CHECK(!"a request of another kind");
}

}  // namespace tandem::service
