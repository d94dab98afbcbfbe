// md: delete, or keep the item but mark it stale (I), or keep its key without its value (x).
#include "common/service/meta.h"
#include "common/service/watch_events.h"

#include "common/protocol/reply.h"

namespace tandem::service {

namespace reply = protocol::reply;
namespace mark = engine::mark;
using engine::store_status;

namespace {

// I or x. The new state is a store like any other: what it replaces is older everywhere. False:
// there was no room for it, and what was there stays.
bool spoil(execution& with, const command& r, store::locked& shard, const hashed_key& key,
           const engine::item_meta& old) {
  const bool stale = r.meta.has('I');
  const bool empties = r.meta.has('x');
  std::uint32_t exptime = empties ? 0 : old.exptime;
  if (r.meta.has('T')) exptime = exptime_at(with, r.meta.ttl);
  // Whoever reads a stale item next is told to refresh it, even if one was told before.
  const auto marks =
      static_cast<std::uint8_t>((old.marks & mark::binary_key) | (stale ? mark::stale : 0));
  store::own_cas cas = wanted_cas(r);
  if (empties) {
    if (!cas && !stale) cas = old.cas_unique();  // it stays what it was
    const auto put = shard.put(key, r.flags, exptime, std::string_view(), marks, cas);
    if (put.status != store_status::stored) return false;
  } else if (shard.renew(key, exptime, marks, cas).status != store_status::stored) {
    shard.remove(key);  // as by an eviction; but the peer's value is stale as well
  }
  with.changed(r, shard);
  return true;
}

// The status; empty: out of memory.
std::string_view carry_out(execution& with, const command& r, const hashed_key& key) {
  auto shard = with.data.lock(key, with.now);
  note_fetch(with, shard, key);
  const auto item = shard.find(key, false);
  if (item && r.meta.has('C') && item->meta.cas_unique() != r.meta.compare) {
    with.counts.delete_misses.add();
    return "EX";
  }
  if (!r.meta.has('I')) note_delete(with, shard, key, "md");
  if (item && (r.meta.has('I') || r.meta.has('x'))) {
    if (!spoil(with, r, shard, key, item->meta)) return {};
    if (!r.meta.has('I')) with.counts.delete_hits.add();
    return "HD";
  }
  const std::string_view status = item ? "HD" : "NF";
  shard.remove(key);
  with.changed(r, shard);
  (item ? with.counts.delete_hits : with.counts.delete_misses).add();
  return status;
}

}  // namespace

void meta_delete(execution& with, const command& r) {
  const command_key key(r);
  const std::string_view status = carry_out(with, r, key);
  if (status.empty()) return with.out.append(reply::no_room_for_number);
  if (status == "HD" && r.meta.has('q')) return;
  answer_status(with, r, key, status);
}

}  // namespace tandem::service
