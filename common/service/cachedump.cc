#include "common/service/cachedump.h"

#include <string>

#include "common/protocol/numbers.h"
#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"
#include "common/service/slab_stats.h"

namespace tandem::service {

namespace reply = protocol::reply;

namespace {

constexpr std::uint32_t classes_end = 64;  // memcached's ids are below it; memcdump stops there
constexpr std::size_t answer_max = std::size_t{2} << 20;  // bytes, memcached's limit too
constexpr unsigned positions_per_lock = 256;
constexpr std::uint32_t looked_at_max = 1U
                                        << 20;  // a class of few items among many is found so far

void append_item(std::string& text, const engine::item_view& item) {
  text.append("ITEM ")
      .append(item.key)
      .append(" [")
      .append(std::to_string(item.value_size()))
      .append(" b; ");
  text.append(std::to_string(item.meta.exptime)).append(" s]\r\n");
}

// The first `limit` items of a slab class, 0: as many as the answer holds.
std::string dump(store& data, std::uint32_t id, std::uint32_t limit, instant now) {
  std::string text;
  std::uint32_t shown = 0, looked_at = 0;
  const auto full = [&] {
    return text.size() >= answer_max || (limit != 0 && shown >= limit) ||
           looked_at >= looked_at_max;
  };
  for (std::size_t shard = 0; shard < data.shard_count() && !full(); ++shard) {
    engine::cursor at;
    while (!at.done && !full()) {
      data.walk_values(shard, at, positions_per_lock, now, [&](const engine::item_view& item) {
        ++looked_at;
        const bool shows =
            (item.meta.marks & engine::mark::binary_key) == 0 && slab_class_of(item) == id;
        if (shows && !full()) {
          append_item(text, item);
          ++shown;
        }
      });
    }
  }
  return text;
}

}  // namespace

void answer_cachedump(execution& with, std::string_view arguments) {
  if (!with.host.policy().dumps) return with.out.append(reply::no_cachedump);
  protocol::token_cursor words(arguments);
  const std::string_view id_word = words.next();
  const std::string_view limit_word = words.next();
  if (limit_word.empty()) return with.out.append(reply::bad_line);
  const auto id = protocol::parse_strict<std::uint32_t>(id_word);
  const auto limit = protocol::parse_strict<std::uint32_t>(limit_word);
  if (!id || !limit) return with.out.append(reply::bad_format);
  if (*id >= classes_end) return with.out.append(reply::illegal_slab_id);
  if (*id >= slab_class_of_band(0) && *id < slab_class_of_band(engine::bands))
    with.out.append(dump(with.data, *id, *limit, with.now));
  with.out.append(reply::end);
}

}  // namespace tandem::service
