#include "common/service/key_dump.h"

#include "common/protocol/base64.h"
#include "common/protocol/key_text.h"
#include "common/protocol/numbers.h"
#include "common/protocol/reply.h"
#include "common/service/slab_stats.h"

namespace tandem::service {

namespace reply = protocol::reply;
using engine::item_view;
using protocol::detail::copy;

namespace {

// At a time, under a shard's lock: tens of microseconds, and 64 KiB of the longest keys.
constexpr unsigned items_per_step = 64;

// The names and the numbers, generously.
constexpr std::size_t line_rest_max = 256;

char* number(char* to, std::string_view name, std::uint64_t value) {
  return protocol::write_number(copy(to, name), value);
}

// As memcached's, with the space before the line end.
char* write_meta(char* to, const item_view& item) {
  to = protocol::write_uri(copy(to, "key="), item.key);
  if (item.meta.exptime == 0)
    to = copy(to, " exp=-1");
  else
    to = number(to, " exp=", item.meta.exptime);
  to = number(to, " la=", item.last_access);
  to = number(to, " cas=", item.meta.cas_unique());
  to = copy(to, item.fetched ? " fetch=yes" : " fetch=no");
  to = number(to, " cls=", slab_class_of(item));
  to = number(to, " size=", stored_bytes(item));
  to = number(to, " flags=", item.meta.flags);
  return copy(to, " \n");
}

char* write_mg(char* to, const item_view& item) {
  to = copy(to, "mg ");
  if ((item.meta.marks & engine::mark::binary_key) != 0)
    to = copy(protocol::write_base64(to, item.key), " b");
  else
    to = copy(to, item.key);
  return copy(to, reply::crlf);
}

}  // namespace

bool key_dump::step(const store& data, output_queue& out, instant now) {
  std::uint64_t seen = 0;
  data.walk_values(shard_, at_, items_per_step, now, [&](const item_view& item) {
    ++seen;
    if (!classes_.test(slab_class_of(item))) return;
    char* const start = out.reserve(protocol::uri_size_max(item.key.size()) + line_rest_max).data();
    const char* const end =
        form_ == dump_form::metadump ? write_meta(start, item) : write_mg(start, item);
    out.commit(static_cast<std::size_t>(end - start));
  });
  place_.checked(seen);
  if (!at_.done) return false;
  at_ = {};
  if (++shard_ < data.shard_count()) return false;
  out.append(form_ == dump_form::metadump ? reply::end : reply::dump_end);
  return true;
}

}  // namespace tandem::service
