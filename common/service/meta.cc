// What the meta commands share, and the one that only looks.
#include "common/service/meta.h"

#include "common/protocol/exptime.h"
#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"
#include "common/service/slab_stats.h"

namespace tandem::service {

namespace reply = protocol::reply;
using protocol::meta_line;

std::uint32_t exptime_at(const execution& with, std::int32_t exptime) {
  return protocol::absolute_exptime(exptime, unix_seconds(with.now.wall));
}

void answer_status(execution& with, const command& r, const hashed_key& key,
                   std::string_view status) {
  char* const start = with.out.reserve(protocol::meta_line_max).data();
  meta_line line(start, status);
  protocol::token_cursor words(r.rest);
  for (auto word = words.next(); !word.empty(); word = words.next())
    echo(line, word, key.key, r.meta.has('b'));
  with.out.commit(static_cast<std::size_t>(line.end() - start));
}

namespace {

void append_number(output_queue& out, std::string_view name, std::uint64_t value) {
  char digits[protocol::digits_max];
  const char* const end = protocol::write_number(digits, value);
  out.append(name);
  out.append({digits, static_cast<std::size_t>(end - digits)});
}

void append_key(output_queue& out, const engine::item_view& item) {
  if ((item.meta.marks & engine::mark::binary_key) == 0) return out.append(item.key);
  char* const start = out.reserve(protocol::base64_size(item.key.size())).data();
  out.commit(static_cast<std::size_t>(protocol::write_base64(start, item.key) - start));
}

}  // namespace

// ME <key> exp=<seconds left> la=<seconds> cas=<unique> fetch=<yes|no> cls=<class> size=<bytes>;
// the size is what memcached would need, which is what item_size_max is compared with.
void meta_debug(execution& with, const command& r) {
  const command_key key(r);
  const std::uint32_t now = unix_seconds(with.now.wall);
  with.counts.cmd_meta.add();
  auto shard = with.data.lock(key, with.now);
  const auto item = shard.find(key, false);
  if (!item) return with.out.append(reply::meta_miss);
  output_queue& out = with.out;
  out.append("ME ");
  append_key(out, *item);
  if (item->meta.exptime == 0)
    out.append(" exp=-1");
  else
    append_number(out, " exp=", item->meta.exptime - now);
  append_number(out, " la=", now > item->last_access ? now - item->last_access : 0);
  append_number(out, " cas=", item->meta.cas_unique());
  out.append(item->fetched ? " fetch=yes" : " fetch=no");
  append_number(out, " cls=", slab_class_of(*item));
  const std::size_t flags_size = item->meta.flags != 0 ? sizeof item->meta.flags : 0;
  append_number(
      out, " size=", engine::item_overhead + flags_size + item->key.size() + item->value_size());
  out.append(reply::crlf);
}

}  // namespace tandem::service
