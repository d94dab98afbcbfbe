// ma: incr and decr, which may create the number.
#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"
#include "common/service/meta.h"
#include "common/service/number.h"
#include "common/service/watch_events.h"

namespace tandem::service {

namespace reply = protocol::reply;
using engine::item_view;
using engine::store_status;
using protocol::meta_line;

namespace {

struct number_outcome {
  std::string_view refusal = {};  // a whole line or a status; empty: `number` is stored
  bool is_status = false;
  std::optional<changed_number> number = {};
  std::uint64_t cas_unique = 0;
  std::uint32_t exptime = 0;  // before the command
  bool created = false;
};

number_outcome refused_with(std::string_view line) {
  return {.refusal = line};
}

number_outcome status(std::string_view code) {
  return {.refusal = code, .is_status = true};
}

// Calls `visit` with every flag and the expiry as the flags before it left it; returns the last
// one.
template <class Visit>
std::uint32_t visit_flags(const execution& with, const command& r, const number_outcome& before,
                          Visit&& visit) {
  std::uint32_t exptime = before.exptime;
  protocol::token_cursor words(r.rest);
  for (auto word = words.next(); !word.empty(); word = words.next()) {
    if (word.front() == 'T') exptime = exptime_at(with, r.meta.ttl);
    if (word.front() == 'N' && before.created) exptime = exptime_at(with, r.meta.vivify);
    visit(word, exptime);
  }
  return exptime;
}

number_meta new_meta(const execution& with, const command& r, const number_outcome& before) {
  return {visit_flags(with, r, before, [](auto...) {}), wanted_cas(r)};
}

void note(const execution& with, const store::locked& shard, const hashed_key& key,
          std::string_view command, store_status status, const changed_number& number) {
  const bool stored = status == store_status::stored;
  note_store(with, shard, key, command, stored ? reply::stored : reply::no_room_for_number,
             number.digits().size());
}

number_outcome change_found(execution& with, const command& r, store::locked& shard,
                            const hashed_key& key, const item_view& item, bool up) {
  if (item.large || item.value.empty()) return refused_with(reply::not_a_number);
  if (r.meta.compare != 0 && item.meta.cas_unique() != r.meta.compare) return status("EX");
  number_outcome result{.number = change_number(item, up, r.meta.delta),
                        .exptime = item.meta.exptime};
  if (!result.number) return refused_with(reply::not_a_number);
  (up ? with.counts.incr_hits : with.counts.decr_hits).add();
  const auto put = put_number(shard, key, item, *result.number, new_meta(with, r, result));
  note(with, shard, key, up ? "incr" : "decr", put.status, *result.number);
  if (put.status != store_status::stored) return refused_with(reply::no_room_for_number);
  with.changed(r, shard);
  result.cas_unique = put.cas_unique;
  return result;
}

number_outcome create_number(execution& with, const command& r, store::locked& shard,
                             const hashed_key& key) {
  number_outcome result{.number = changed_number(r.meta.initial), .created = true};
  const number_meta meta = new_meta(with, r, result);
  const auto put = shard.put(key, 0, meta.exptime, result.number->digits(), key_mark(r), meta.cas);
  note(with, shard, key, "add", put.status, *result.number);
  if (put.status != store_status::stored) return refused_with(reply::no_room_for_item);
  with.changed(r, shard);
  result.cas_unique = put.cas_unique;
  return result;
}

number_outcome find_or_create(execution& with, const command& r, const hashed_key& key) {
  const bool up = r.meta.mode != 'D' && r.meta.mode != '-';
  auto shard = with.data.lock(key, with.now);
  note_fetch(with, shard, key);
  if (const auto item = shard.find(key, false)) return change_found(with, r, shard, key, *item, up);
  if (r.meta.has('N')) return create_number(with, r, shard, key);
  (up ? with.counts.incr_misses : with.counts.decr_misses).add();
  return status("NF");
}

void answer(execution& with, const command& r, const hashed_key& key,
            const number_outcome& result) {
  const std::uint32_t now = unix_seconds(with.now.wall);
  const std::string_view digits = result.number->digits();
  const bool wants_value = r.meta.has('v');
  char* const start = with.out.reserve(protocol::meta_line_max + protocol::number_line_max).data();
  meta_line line = wants_value ? meta_line::value(start, digits.size()) : meta_line(start, "HD");
  visit_flags(with, r, result, [&](std::string_view word, std::uint32_t exptime) {
    if (word.front() == 'c') line.flag('c', result.cas_unique);
    if (word.front() == 't') line.ttl(exptime, now);
    echo(line, word, key.key, r.meta.has('b'));
  });
  char* end = line.end();
  if (wants_value) end = protocol::write_number_line(end, result.number->value);
  with.out.commit(static_cast<std::size_t>(end - start));
}

}  // namespace

void meta_arithmetic(execution& with, const command& r) {
  const command_key key(r);
  const number_outcome result = find_or_create(with, r, key);
  if (result.is_status) return answer_status(with, r, key, result.refusal);
  if (!result.refusal.empty()) return with.out.append(result.refusal);
  if (!r.meta.has('q')) answer(with, r, key, result);
}

}  // namespace tandem::service
