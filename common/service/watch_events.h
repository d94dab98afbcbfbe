// What is told to those who `watch`: one function an event, in memcached 1.6.45's words (and
// cmd=incr and decr, which its log leaves out). Those for commands look whether someone watches,
// one relaxed load, and are called with the key's shard locked; the others are called when someone
// does.
#pragma once

#include <string_view>

#include "common/replication/data_port.h"
#include "common/service/executor.h"
#include "common/service/watch_hub.h"

namespace tandem::service {

namespace detail {
void note_fetch(const execution& with, const store::locked& shard, const hashed_key& key);
void note_store(const execution& with, const store::locked& shard, const hashed_key& key,
                std::string_view command, std::string_view answer, std::size_t size);
void note_delete(const execution& with, const store::locked& shard, const hashed_key& key,
                 std::string_view command);
}  // namespace detail

// Before a command looks for its key: type=item_get, with what it will find.
inline void note_fetch(const execution& with, const store::locked& shard, const hashed_key& key) {
  if (with.host.watchers().wants(watch::fetchers)) [[unlikely]]
    detail::note_fetch(with, shard, key);
}

// After a store, done or refused: type=item_store. `answer` is the line of reply.h that tells how
// it went; `size` of the value that came, of which a stored one may be a part.
inline void note_store(const execution& with, const store::locked& shard, const hashed_key& key,
                       std::string_view command, std::string_view answer, std::size_t size) {
  if (with.host.watchers().wants(watch::mutations)) [[unlikely]]
    detail::note_store(with, shard, key, command, answer, size);
}

// Before something that is there is deleted: type=deleted. `command`: "delete", "md".
inline void note_delete(const execution& with, const store::locked& shard, const hashed_key& key,
                        std::string_view command) {
  if (with.host.watchers().wants(watch::deletions)) [[unlikely]]
    detail::note_delete(with, shard, key, command);
}

// type=eviction
void note_eviction(watch_hub& to, const engine::item_view& item, instant now);
// type=replication_apply: a record of the peer, and what it came to
void note_apply(watch_hub& to, const replication::record& incoming,
                replication::apply_status status, instant now);

}  // namespace tandem::service
