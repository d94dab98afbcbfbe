#include "common/service/storage.h"

#include <optional>
#include <string>

#include "common/base/check.h"
#include "common/protocol/exptime.h"
#include "common/protocol/reply.h"
#include "common/service/watch_events.h"

namespace tandem::service {

using engine::item_view;
using engine::large_ref;
using engine::store_status;
using protocol::request;
using protocol::verb;
namespace reply = protocol::reply;

namespace {

// A value that was received, small ones as bytes, large ones in their place; or that is stored:
// then its bytes are those of both, the large ones first.
struct block {
  std::string_view bytes;
  large_ref large;
  std::size_t size() const { return (large ? large->size() : 0) + bytes.size(); }
};

// As `watch` names it.
std::string_view command_name(verb what) {
  switch (what) {
    case verb::add:
      return "add";
    case verb::replace:
      return "replace";
    case verb::append:
      return "append";
    case verb::prepend:
      return "prepend";
    case verb::cas:
      return "cas";
    default:
      return "set";
  }
}

std::uint32_t exptime_of(const execution& with, const request& r) {
  return protocol::absolute_exptime(r.exptime, unix_seconds(with.now.wall));
}

store_status put(store::locked& shard, const hashed_key& key, std::uint32_t flags,
                 std::uint32_t exptime, const block& value) {
  return value.large ? shard.put(key, flags, exptime, value.large).status
                     : shard.put(key, flags, exptime, value.bytes).status;
}

// Copies a value to `offset` of `to`; returns where it ends.
std::size_t write_at(engine::large_value& to, std::size_t offset, const block& value) {
  for (std::size_t at = 0; at < value.size();) {
    const std::string_view piece = engine::piece_of(value.large.get(), value.bytes, at);
    to.write(offset + at, piece);
    at += piece.size();
  }
  return offset + value.size();
}

// append and prepend: the item with the block at its end or beginning. It keeps its flags and
// exptime.
store_status join(store::locked& shard, const hashed_key& key, const item_view& item,
                  const block& added, bool at_end) {
  const engine::item_meta meta = item.meta;
  const std::size_t size = item.value_size() + added.size();
  if (size < engine::large_value_min) {
    std::string joined;
    joined.reserve(size);
    joined.append(at_end ? item.value : added.bytes).append(at_end ? added.bytes : item.value);
    return shard.put(key, meta.flags, meta.exptime, joined).status;
  }
  // Reserving may evict the very item, so its value is kept first.
  const std::string kept(item.value);
  block old{kept, {}};
  // The count is not part of the value: a reference leaves it as immutable as it was.
  if (item.large) old.large = large_ref(const_cast<engine::large_value*>(item.large));
  large_ref joined = shard.reserve(key, size);
  if (!joined) return store_status::out_of_memory;
  while (joined->granted() < size)
    if (!shard.extend(*joined)) return store_status::out_of_memory;
  const std::size_t middle = write_at(*joined, 0, at_end ? old : added);
  write_at(*joined, middle, at_end ? added : old);
  return shard.put(key, meta.flags, meta.exptime, std::move(joined)).status;
}

std::string_view refusal_of(execution& with, store_status status) {
  const bool too_large = status == store_status::too_large;
  (too_large ? with.counts.store_too_large : with.counts.store_no_memory).add();
  return too_large ? reply::too_large : reply::no_room;
}

std::string_view store_new(execution& with, store::locked& shard, const hashed_key& key,
                           const request& r, const block& value) {
  const store_status status = put(shard, key, r.flags, exptime_of(with, r), value);
  if (status == store_status::stored) {
    with.mutated = true;
    return reply::stored;
  }
  if (r.what == verb::set) {
    shard.remove(key);
    with.mutated = true;
  }
  return refusal_of(with, status);
}

std::string_view store_joined(execution& with, store::locked& shard, const hashed_key& key,
                              const request& r, const item_view& item, const block& value) {
  const store_status status = join(shard, key, item, value, r.what == verb::append);
  if (status != store_status::stored) return reply::not_stored;
  with.mutated = true;
  return reply::stored;
}

std::string_view compare_and_store(execution& with, store::locked& shard, const hashed_key& key,
                                   const request& r, const block& value) {
  const auto item = shard.find(key, false);
  if (!item) {
    with.counts.cas_misses.add();
    return reply::not_found;
  }
  if (item->meta.stored.word() != r.number) {  // no version is 0
    with.counts.cas_badval.add();
    return reply::exists;
  }
  with.counts.cas_hits.add();
  return store_new(with, shard, key, r, value);
}

std::string_view store_if_allowed(execution& with, store::locked& shard, const hashed_key& key,
                                  const command& r, const block& value) {
  switch (r.what) {
    case verb::set:
      return store_new(with, shard, key, r, value);
    case verb::add:
      // A refused add counts as an access, as in memcached.
      if (shard.find(key)) return reply::not_stored;
      return store_new(with, shard, key, r, value);
    case verb::replace:
      if (!shard.find(key, false)) return reply::not_stored;
      return store_new(with, shard, key, r, value);
    case verb::append:
    case verb::prepend: {
      const auto item = shard.find(key, false);
      return item ? store_joined(with, shard, key, r, *item, value) : reply::not_stored;
    }
    case verb::cas:
      return compare_and_store(with, shard, key, r, value);
    default:
      break;
  }
  CHECK(!"a storage command");
}

void store_and_answer(execution& with, const command& r, const block& value) {
  with.counts.cmd_set.add();
  if (with.host.prefixes().enabled()) with.host.prefixes().record_set(r.key);
  const hashed_key key = r.hashed();
  std::string_view answer;
  {
    auto shard = with.data.lock(key, with.now);
    note_fetch(with, shard, key);
    answer = store_if_allowed(with, shard, key, r, value);
    note_store(with, shard, key, command_name(r.what), answer, value.size());
  }
  with.answer(r, answer);
}

// There is no place, or not enough of it: what is there is removed if it was to be replaced.
std::string_view refuse_block(execution& with, store::locked& shard, const hashed_key& key,
                              const request& r, store_status status) {
  if (r.what == verb::set) {
    shard.remove(key);
    with.mutated = true;
  }
  const std::string_view refusal = refusal_of(with, status);
  note_store(with, shard, key, command_name(r.what), refusal, r.value_bytes);
  return refusal;
}

}  // namespace

bool reserve_block(execution& with, const command& r, large_ref& place, std::string_view& refusal) {
  const hashed_key key = r.hashed();
  auto shard = with.data.lock(key, with.now);
  const bool fits = shard.fits(r.key.size(), r.value_bytes);
  if (fits) place = shard.reserve(key, r.value_bytes);
  if (place) return true;
  refusal = refuse_block(with, shard, key, r,
                         fits ? store_status::out_of_memory : store_status::too_large);
  return false;
}

bool extend_block(execution& with, const command& r, engine::large_value& place,
                  std::string_view& refusal) {
  const hashed_key key = r.hashed();
  auto shard = with.data.lock(key, with.now);
  if (shard.extend(place)) return true;
  refusal = refuse_block(with, shard, key, r, store_status::out_of_memory);
  return false;
}

void store_block(execution& with, const command& r, std::string_view value) {
  store_and_answer(with, r, {value, {}});
}

void store_block(execution& with, const command& r, large_ref value) {
  store_and_answer(with, r, {{}, std::move(value)});
}

}  // namespace tandem::service
