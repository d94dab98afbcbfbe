#include "common/service/watch_events.h"

#include <algorithm>

#include "common/protocol/reply.h"
#include "common/service/slab_stats.h"
#include "common/service/watch_line.h"

namespace tandem::service {

namespace reply = protocol::reply;

namespace {

std::string_view status_of(std::string_view answer) {
  if (answer == reply::not_stored) return "not_stored";
  if (answer == reply::exists) return "exists";
  if (answer == reply::not_found) return "not_found";
  if (answer == reply::too_large) return "too_large";
  if (answer == reply::no_room || answer == reply::no_room_for_number) return "no_memory";
  return "stored";
}

std::string_view verdict_of(replication::apply_status status) {
  switch (status) {
    case replication::apply_status::applied:
      return "applied";
    case replication::apply_status::known:
      return "known";
    case replication::apply_status::refused_floor:
      return "refused_floor";
    case replication::apply_status::no_room:
      return "no_memory";
  }
  return "";
}

std::string_view kind_of(replication::record_kind kind) {
  switch (kind) {
    case replication::record_kind::value:
      return "value";
    case replication::record_kind::tombstone:
      return "tombstone";
    case replication::record_kind::gone:
      return "gone";
    case replication::record_kind::held:
      return "held";
  }
  return "";
}

}  // namespace

void detail::note_fetch(const execution& with, const store::locked& shard, const hashed_key& key) {
  const auto item = shard.peek(key);
  std::string_view status = "not_found";
  unsigned slab_class = 0;
  std::size_t size = 0;
  if (item && shard.visible(*item)) {
    status = "found";
    slab_class = slab_class_of(*item);
    size = item->value_size();
  } else if (item && item->meta.kind == engine::item_kind::value) {
    const std::uint32_t now = unix_seconds(shard.now().wall);
    const bool expired = item->meta.exptime != 0 && item->meta.exptime <= now;
    status = expired ? "expired" : "flushed";
  }
  watch_line line("item_get");
  line.add_key(key.key).add("status", status).add("clsid", slab_class);
  line.add("cfd", with.client).add("size", size);
  with.host.watchers().publish(watch::fetchers, with.now.wall, line.view());
}

void detail::note_store(const execution& with, const store::locked& shard, const hashed_key& key,
                        std::string_view command, std::string_view answer, std::size_t size) {
  const std::string_view status = status_of(answer);
  std::uint32_t ttl = 0;
  unsigned slab_class = 0;
  if (status == "stored") {
    if (const auto item = shard.peek(key)) {
      const std::uint32_t now = unix_seconds(with.now.wall);
      ttl = item->meta.exptime - std::min(item->meta.exptime, now);
      slab_class = slab_class_of(*item);
      size = item->value_size();
    }
  }
  watch_line line("item_store");
  line.add_key(key.key).add("status", status).add("cmd", command).add("ttl", ttl);
  line.add("clsid", slab_class).add("cfd", with.client).add("size", size);
  with.host.watchers().publish(watch::mutations, with.now.wall, line.view());
}

void detail::note_delete(const execution& with, const store::locked& shard, const hashed_key& key,
                         std::string_view command) {
  const auto item = shard.peek(key);
  if (!item || !shard.visible(*item)) return;
  watch_line line("deleted");
  line.add_key(key.key).add("cmd", command).add("clsid", slab_class_of(*item));
  line.add("size", item->value_size());
  with.host.watchers().publish(watch::deletions, with.now.wall, line.view());
}

void note_eviction(watch_hub& to, const engine::item_view& item, instant now) {
  const std::uint32_t seconds = unix_seconds(now.wall);
  const std::int64_t ttl =
      item.meta.exptime == 0 ? -1 : std::int64_t{item.meta.exptime} - std::int64_t{seconds};
  watch_line line("eviction");
  line.add_key(item.key).add("fetch", item.fetched ? "yes" : "no").add("ttl", ttl);
  line.add("la", seconds - std::min(seconds, item.last_access));
  line.add("clsid", slab_class_of(item)).add("size", item.value_size());
  to.publish(watch::evictions, now.wall, line.view());
}

void note_apply(watch_hub& to, const replication::record& incoming,
                replication::apply_status status, instant now) {
  watch_line line("replication_apply");
  line.add_key(incoming.key).add("kind", kind_of(incoming.kind));
  line.add("status", verdict_of(status)).add("cas", incoming.meta.stored.word());
  line.add("size", incoming.value_size());
  to.publish(watch::replication, now.wall, line.view());
}

}  // namespace tandem::service
