// mg: a look at an item and, on the way, a new expiry, an item created by a miss, or the word to
// one client that it is to refresh the item.
#include <algorithm>

#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"
#include "common/service/meta.h"
#include "common/service/watch_events.h"

namespace tandem::service {

namespace reply = protocol::reply;
namespace mark = engine::mark;
using engine::item_view;
using protocol::meta_line;

namespace {

// What a look makes of an item.
struct shown {
  std::uint32_t exptime;
  std::uint8_t marks;
  bool won = false;
};

// Writes the flags that were asked for and finds out what becomes of the item. A flag sees what the
// flags before it did: t behind T tells of the new expiry.
shown look_at(meta_line& line, const execution& with, const command& r, const item_view& item,
              bool created) {
  const std::uint32_t now = unix_seconds(with.now.wall);
  shown result{item.meta.exptime, item.meta.marks};
  const bool told_before = (item.meta.marks & mark::win_sent) != 0;
  protocol::token_cursor words(r.rest);
  for (auto word = words.next(); !word.empty(); word = words.next()) {
    switch (word.front()) {
      case 'T':
        result.exptime = exptime_at(with, r.meta.ttl);
        break;
      case 'N':
        if (!created) break;
        result.exptime = exptime_at(with, r.meta.vivify);
        result.won = true;
        break;
      case 'R':
        if (!told_before && !created && result.exptime != 0 &&
            result.exptime < exptime_at(with, r.meta.recache))
          result.won = true;
        break;
      case 's':
        line.flag('s', item.value_size());
        break;
      case 't':
        line.ttl(result.exptime, now);
        break;
      case 'c':
        line.flag('c', item.meta.cas_unique());
        break;
      case 'f':
        line.flag('f', item.meta.flags);
        break;
      case 'l':
        line.flag('l', now - std::min(now, item.last_access));
        break;
      case 'h':
        line.flag('h', item.fetched ? 1 : 0);
        break;
      default:
        echo(line, word, item.key, (item.meta.marks & mark::binary_key) != 0);
        break;
    }
  }
  if (told_before) line.flag('Z');
  if ((item.meta.marks & mark::stale) != 0) {
    line.flag('X');
    if (!told_before) result.won = true;
  }
  if (result.won) {
    line.flag('W');
    result.marks |= mark::win_sent;
  }
  return result;
}

shown answer_hit(execution& with, const command& r, const item_view& item, bool created) {
  const bool known = r.meta.has('C') && item.meta.cas_unique() == r.meta.compare;
  const bool wants_value = r.meta.has('v') && !known;
  const std::size_t copied = wants_value ? item.value.size() + reply::crlf.size() : 0;
  char* const start = with.out.reserve(protocol::meta_line_max + copied).data();
  meta_line line =
      wants_value ? meta_line::value(start, item.value_size()) : meta_line(start, "HD");
  const shown result = look_at(line, with, r, item, created);
  if (wants_value)
    append_block(with.out, start, line.end(), item);
  else
    with.out.commit(static_cast<std::size_t>(line.end() - start));
  return result;
}

// Nothing was there. False: nor is anything now.
bool create_empty(execution& with, const command& r, store::locked& shard, const hashed_key& key) {
  item_view item{.key = key.key, .meta = {.marks = key_mark(r)}, .value = {}};
  item.last_access = unix_seconds(with.now.wall);
  char scratch[protocol::meta_line_max];
  meta_line unsent(scratch, "HD");
  const shown becomes = look_at(unsent, with, r, item, true);
  const auto put =
      shard.put(key, 0, becomes.exptime, std::string_view(), becomes.marks, wanted_cas(r));
  if (put.status != engine::store_status::stored) return false;
  with.changed(r, shard);
  item.meta.stored = version(put.cas_unique);  // for c
  answer_hit(with, r, item, true);
  return true;
}

bool find(execution& with, const command& r, const hashed_key& key) {
  auto shard = with.data.lock(key, with.now);
  note_fetch(with, shard, key);
  const auto item = shard.find(key, !r.meta.has('u'));
  if (!item) return r.meta.has('N') && create_empty(with, r, shard, key);
  const shown becomes = answer_hit(with, r, *item, false);
  if (becomes.won || r.meta.has('T')) {
    shard.touch(key, becomes.exptime, becomes.marks);
    with.changed(r, shard);
  }
  return true;
}

}  // namespace

void meta_get(execution& with, const command& r) {
  const command_key key(r);
  if (!find(with, r, key)) {
    with.counts.cmd_get.add();
    with.counts.get_misses.add();
    if (!r.meta.has('q')) answer_status(with, r, key, "EN");
    return;
  }
  const bool touched = r.meta.has('T');
  (touched ? with.counts.cmd_touch : with.counts.cmd_get).add();
  (touched ? with.counts.touch_hits : with.counts.get_hits).add();
}

}  // namespace tandem::service
