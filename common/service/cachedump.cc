#include "common/service/cachedump.h"

#include <string>

#include "common/protocol/numbers.h"
#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"

namespace tandem::service {

namespace reply = protocol::reply;

namespace {

constexpr std::uint32_t classes_end = 64;  // memcached's ids are below it; memcdump stops there
constexpr std::uint32_t our_class = 1;
constexpr std::size_t answer_max = std::size_t{2} << 20;  // bytes, memcached's limit too
constexpr unsigned positions_per_lock = 256;

void append_item(std::string& text, const replication::record& item) {
  const std::size_t size = item.large ? item.large->size() : item.value.size();
  text.append("ITEM ").append(item.key).append(" [").append(std::to_string(size)).append(" b; ");
  text.append(std::to_string(item.meta.exptime)).append(" s]\r\n");
}

// The first `limit` items, 0: as many as the answer holds.
std::string dump(store& data, std::uint32_t limit, instant now) {
  std::string text;
  std::uint32_t shown = 0;
  const auto full = [&] { return text.size() >= answer_max || (limit != 0 && shown >= limit); };
  for (std::size_t shard = 0; shard < data.shard_count() && !full(); ++shard) {
    engine::cursor at;
    while (!at.done && !full()) {
      data.scan(shard, at, positions_per_lock, now, [&](const replication::record& item) {
        const bool shows = item.kind == replication::record_kind::value &&
                           (item.meta.marks & engine::mark::binary_key) == 0;
        if (shows && !full()) {
          append_item(text, item);
          ++shown;
        }
        return true;
      });
    }
  }
  return text;
}

}  // namespace

void answer_cachedump(execution& with, std::string_view arguments) {
  protocol::token_cursor words(arguments);
  const std::string_view id_word = words.next();
  const std::string_view limit_word = words.next();
  if (limit_word.empty()) return with.out.append(reply::bad_line);
  const auto id = protocol::parse_strict<std::uint32_t>(id_word);
  const auto limit = protocol::parse_strict<std::uint32_t>(limit_word);
  if (!id || !limit) return with.out.append(reply::bad_format);
  if (*id >= classes_end) return with.out.append(reply::illegal_slab_id);
  if (*id == our_class) with.out.append(dump(with.data, *limit, with.now));
  with.out.append(reply::end);
}

}  // namespace tandem::service
