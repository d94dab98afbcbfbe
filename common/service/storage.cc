#include "common/service/storage.h"

#include <optional>
#include <string>

#include "common/base/check.h"
#include "common/protocol/meta_reply.h"
#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"
#include "common/service/meta.h"
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

// What came of a storage command. `joins`: nothing yet, the value is to be made first (join_ahead).
enum class storing : std::uint8_t {
  stored,
  not_stored,
  exists,
  not_found,
  too_large,
  no_room,
  joins
};
struct store_outcome {
  storing what = storing::stored;
  std::uint64_t cas_unique = 0;  // when stored
  std::size_t size = 0;          // of the value, when an append or prepend changed it
};

// The classic command whose condition holds for this one.
verb condition_of(const request& r) {
  if (r.what != verb::meta_set) return r.what;
  switch (r.meta.mode) {
    case 'E':
      return verb::add;
    case 'A':
      return verb::append;
    case 'P':
      return verb::prepend;
    case 'R':
      return r.meta.has('C') ? verb::cas : verb::replace;
    default:
      return r.meta.has('C') ? verb::cas : verb::set;
  }
}

// The CAS unique that cas compares with; 0 is no item's.
std::uint64_t compared_with(const request& r) {
  return r.what == verb::meta_set ? r.meta.compare : r.number;
}

// What an item gets beside its value.
struct attributes {
  std::uint32_t flags, exptime;
  std::uint8_t marks;
  store::own_cas cas;
};

attributes attributes_of(const execution& with, const request& r) {
  // A unique of 0 is none: it is given one.
  const store::own_cas cas = r.meta.unique != 0 ? wanted_cas(r) : std::nullopt;
  return {r.flags, exptime_at(with, r.exptime), key_mark(r), cas};
}

store::locked::put_result put(store::locked& shard, const hashed_key& key, const attributes& a,
                              const block& value) {
  return value.large ? shard.put(key, a.flags, a.exptime, value.large, a.marks, a.cas)
                     : shard.put(key, a.flags, a.exptime, value.bytes, a.marks, a.cas);
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

// A stored value that stays readable without the lock, and whatever happens to the item.
struct kept_value {
  explicit kept_value(const item_view& item)
      : tail(item.value),
        // The count is not part of the value: a reference leaves it as immutable as it was.
        large(const_cast<engine::large_value*>(item.large)) {}
  block view() const { return {tail, large}; }
  std::string tail;
  large_ref large;
};

void write_joined(engine::large_value& to, const block& old, const block& added, bool at_end) {
  const std::size_t middle = write_at(to, 0, at_end ? old : added);
  write_at(to, middle, at_end ? added : old);
}

// What append or prepend will store, made without holding the lock, and the version of the item it
// was made from: copying a large value, and evicting what is in its way, takes long. Null: there is
// no room, or the item is gone.
struct joined_ahead {
  version from = {};
  large_ref value = {};
};
constexpr std::size_t join_ahead_min = std::size_t{64} << 10;

joined_ahead join_ahead(execution& with, const hashed_key& key, const block& added, bool at_end) {
  joined_ahead joined;
  std::optional<kept_value> old;
  std::size_t size = 0;
  {
    auto shard = with.data.lock(key, with.now);
    const auto item = shard.find(key, false);
    if (!item) return {};
    size = item->value_size() + added.size();
    joined.from = item->meta.stored;
    old.emplace(*item);
    joined.value = shard.reserve(key, size);
  }
  while (joined.value && joined.value->granted() < size)
    if (!with.data.lock(key, with.now).extend(*joined.value)) return {};
  if (joined.value) write_joined(*joined.value, old->view(), added, at_end);
  return joined;
}

// append and prepend: the item with the block at its end or beginning. It keeps its flags and
// exptime.
store::locked::put_result join(store::locked& shard, const hashed_key& key, const item_view& item,
                               const attributes& a, const block& added, bool at_end) {
  const std::size_t size = item.value_size() + added.size();
  if (size < engine::large_value_min) {
    std::string joined;
    joined.reserve(size);
    joined.append(at_end ? item.value : added.bytes).append(at_end ? added.bytes : item.value);
    return put(shard, key, a, {joined, {}});
  }
  const kept_value old(item);  // reserving may evict the very item
  large_ref joined = shard.reserve(key, size);
  if (!joined) return {store_status::out_of_memory, {}};
  while (joined->granted() < size)
    if (!shard.extend(*joined)) return {store_status::out_of_memory, {}};
  write_joined(*joined, old.view(), added, at_end);
  return put(shard, key, a, {{}, std::move(joined)});
}

store_outcome refused_by(execution& with, store_status status) {
  const bool too_large = status == store_status::too_large;
  (too_large ? with.counts.store_too_large : with.counts.store_no_memory).add();
  return {too_large ? storing::too_large : storing::no_room};
}

// There is no place for the new value, or not enough of it. What a set would have replaced is
// removed, and what any ms names, as memcached does.
store_outcome give_up(execution& with, store::locked& shard, const hashed_key& key,
                      const request& r, store_status status) {
  if (r.what == verb::set || r.what == verb::meta_set) {
    shard.remove(key);
    with.mutated = true;  // the answer is an error already: it waits for nothing
  }
  return refused_by(with, status);
}

store_outcome store_new(execution& with, store::locked& shard, const hashed_key& key,
                        const request& r, const attributes& a, const block& value) {
  const auto stored = put(shard, key, a, value);
  if (stored.status != store_status::stored) return give_up(with, shard, key, r, stored.status);
  with.changed(r, shard);
  return {storing::stored, stored.cas_unique};
}

store_outcome store_joined(execution& with, store::locked& shard, const hashed_key& key,
                           const request& r, const block& value, const joined_ahead* ahead) {
  const bool at_end = condition_of(r) == verb::append;
  attributes a = attributes_of(with, r);
  const auto item = shard.find(key, false);
  if (!item) {
    if (!r.meta.has('N')) return {storing::not_stored};
    a.exptime = exptime_at(with, r.meta.vivify);
    return store_new(with, shard, key, r, a, value);
  }
  if (r.meta.compare != 0 && item->meta.cas_unique() != r.meta.compare) return {storing::exists};
  a.flags = item->meta.flags;
  a.exptime = item->meta.exptime;
  a.marks |= item->meta.marks & engine::mark::binary_key;
  const std::size_t size = item->value_size() + value.size();
  if (ahead == nullptr && size >= join_ahead_min) return {storing::joins};
  const bool unchanged = ahead != nullptr && ahead->value && item->meta.stored == ahead->from;
  const auto stored = unchanged ? put(shard, key, a, {{}, ahead->value})
                                : join(shard, key, *item, a, value, at_end);
  if (stored.status != store_status::stored) return {storing::not_stored};
  with.changed(r, shard);
  return {storing::stored, stored.cas_unique, size};
}

store_outcome compare_and_store(execution& with, store::locked& shard, const hashed_key& key,
                                const request& r, const block& value) {
  const auto item = shard.find(key, false);
  if (!item) {
    with.counts.cas_misses.add();
    return {storing::not_found};
  }
  attributes a = attributes_of(with, r);
  const std::uint64_t compared = compared_with(r), unique = item->meta.cas_unique();
  if (compared == 0 || compared != unique) {
    // With I what was made from an older state is better than nothing, and stale.
    if (!r.meta.has('I') || compared == 0 || compared > unique) {
      with.counts.cas_badval.add();
      return {storing::exists};
    }
    a.exptime = item->meta.exptime;
    a.marks |= engine::mark::stale | (item->meta.marks & engine::mark::win_sent);
  }
  with.counts.cas_hits.add();
  return store_new(with, shard, key, r, a, value);
}

store_outcome store_if_allowed(execution& with, store::locked& shard, const hashed_key& key,
                               const command& r, const block& value, const joined_ahead* ahead) {
  switch (condition_of(r)) {
    case verb::set:
      break;
    case verb::add:
      // A refused add counts as an access, as in memcached.
      if (shard.find(key)) return {storing::not_stored};
      break;
    case verb::replace:
      if (!shard.find(key, false)) return {storing::not_stored};
      break;
    case verb::append:
    case verb::prepend:
      return store_joined(with, shard, key, r, value, ahead);
    case verb::cas:
      return compare_and_store(with, shard, key, r, value);
    default:
      CHECK(!"a storage command");
  }
  return store_new(with, shard, key, r, attributes_of(with, r), value);
}

// In words, the classic answer and the status of ms; a refusal is the same line in both.
struct words {
  std::string_view classic, meta;
};
words words_for(storing what) {
  switch (what) {
    case storing::stored:
      return {reply::stored, "HD"};
    case storing::not_stored:
      return {reply::not_stored, "NS"};
    case storing::exists:
      return {reply::exists, "EX"};
    case storing::not_found:
      return {reply::not_found, "NF"};
    case storing::too_large:
      return {reply::too_large, {}};
    case storing::no_room:
      return {reply::no_room, {}};
    case storing::joins:
      break;
  }
  CHECK(!"an outcome");
}

// ms: its status and the flags that were asked for.
void answer_meta(execution& with, const request& r, const hashed_key& key,
                 const store_outcome& result) {
  const std::string_view status = words_for(result.what).meta;
  char* const start = with.out.reserve(protocol::meta_line_max).data();
  protocol::meta_line line(start, status);
  protocol::token_cursor flags(r.rest);
  for (auto word = flags.next(); !word.empty(); word = flags.next()) {
    if (word.front() == 'c') line.flag('c', result.cas_unique);
    if (word.front() == 's') line.flag('s', result.size);
    echo(line, word, key.key, r.meta.has('b'));
  }
  with.out.commit(static_cast<std::size_t>(line.end() - start));
}

// Under the lock. `ahead` null: a large join is not made yet.
store_outcome store_once(execution& with, const command& r, const hashed_key& key,
                         const block& value, const joined_ahead* ahead) {
  auto shard = with.data.lock(key, with.now);
  if (ahead == nullptr) note_fetch(with, shard, key);
  const store_outcome result = store_if_allowed(with, shard, key, r, value, ahead);
  if (result.what != storing::joins)
    note_store(with, shard, key, protocol::word_of(condition_of(r)), words_for(result.what).classic,
               r.value_bytes);
  return result;
}

void store_and_answer(execution& with, const command& r, const block& value) {
  const command_key key(r);
  const bool is_meta = r.what == verb::meta_set;
  with.counts.cmd_set.add();
  if (!is_meta && with.host.prefixes().enabled()) with.host.prefixes().record_set(r.key);
  store_outcome result = store_once(with, r, key, value, nullptr);
  if (result.what == storing::joins) {
    const joined_ahead ahead = join_ahead(with, key, value, condition_of(r) == verb::append);
    result = store_once(with, r, key, value, &ahead);
  }
  const words told = words_for(result.what);
  if (!is_meta || told.meta.empty()) return with.answer(r, told.classic);
  if (result.what == storing::stored && r.meta.has('q')) return;
  if (result.size == 0) result.size = r.value_bytes;  // what was stored has no tail any more
  answer_meta(with, r, key, result);
}

// A block has no place: the answer, once it was swallowed.
std::string_view refuse_block(execution& with, store::locked& shard, const hashed_key& key,
                              const request& r, store_status status) {
  const std::string_view refusal = words_for(give_up(with, shard, key, r, status).what).classic;
  note_store(with, shard, key, protocol::word_of(condition_of(r)), refusal, r.value_bytes);
  return refusal;
}

}  // namespace

bool reserve_block(execution& with, const command& r, large_ref& place, std::string_view& refusal) {
  const command_key sent(r);
  const hashed_key& key = sent;
  auto shard = with.data.lock(key, with.now);
  const bool fits = shard.fits(key.key.size(), r.value_bytes);
  if (fits) place = shard.reserve(key, r.value_bytes);
  if (place) return true;
  refusal = refuse_block(with, shard, key, r,
                         fits ? store_status::out_of_memory : store_status::too_large);
  return false;
}

bool extend_block(execution& with, const command& r, engine::large_value& place,
                  std::string_view& refusal) {
  const command_key key(r);
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
