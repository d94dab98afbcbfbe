// What clients and the peer change in a backend, and how the index learns of it.
#include "common/service/sidecar.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "common/protocol/reply.h"

namespace tandem::service {

using backend::expected;
using backend::lane;
using engine::item_meta;
using protocol::verb;
using replication::apply_status;
using replication::record_kind;
namespace mark = engine::mark;

namespace {

constexpr std::size_t doubts_max = 65536;

std::uint8_t marks_after(const expected& to, std::string_view reply, std::uint8_t before) {
  const std::uint8_t key = to.binary ? mark::binary_key : before & mark::binary_key;
  switch (to.what) {
    case verb::meta_get: {
      const bool won = backend::happened(backend::change::won, reply);
      return static_cast<std::uint8_t>(before | key | (won ? mark::win_sent : 0));
    }
    case verb::meta_delete:
      return static_cast<std::uint8_t>(key | mark::stale);
    case verb::touch:
    case verb::gat:
    case verb::gats:
      return static_cast<std::uint8_t>(before | key);
    default:
      return key;
  }
}

}  // namespace

sidecar::sidecar(store& index, backend::lanes& lanes, std::function<void()> wake)
    : index_(index),
      lanes_(lanes),
      wake_(std::move(wake)),
      journal_looks_(index.shard_count()),
      scan_looks_(index.shard_count()),
      waiting_(lanes.size() + 2),
      written_(lanes.size()) {}

// --- clients' changes ----------------------------------------------------------------------------

bool sidecar::record(expected& to, std::string_view key, std::string_view reply, instant now) {
  const auto marked = [&](const ack_ticket& t) {
    to.changed = true;
    to.mark_slot = t.slot;
    to.mark_position = t.position;
    return true;
  };
  if (to.what == verb::flush_all) {
    const bool done = reply.starts_with("OK");
    const auto state = done ? index_.flush_all(to.exptime, now) : 0;
    end_client_flush(done, now);
    return done && marked({index_.shard_count(), state});
  }
  // Without an answer it may have happened.
  const backend::change what = to.reply.what;
  const bool unknown =
      reply.empty() && (what == backend::change::stored || what == backend::change::removed);
  if (!unknown && !backend::happened(what, reply)) return false;
  if (lanes_.flushes() != 0) {
    const std::lock_guard guard(mutex_);
    note_beside_flush(key, to.binary);
  }
  const hashed_key k(key, to.hash);
  auto shard = index_.lock(k, now);
  if (what == backend::change::removed && !unknown) {
    shard.remove(k);
    return marked(shard.ticket());
  }
  const auto before = shard.peek(k);
  const bool known = before && before->meta.kind == engine::item_kind::value;
  const std::uint32_t exptime = to.sets_exptime ? to.exptime : known ? before->meta.exptime : 0;
  const std::uint8_t marks = marks_after(to, reply, known ? before->meta.marks : std::uint8_t{0});
  if (shard.put(k, 0, exptime, std::string_view(), marks).status != engine::store_status::stored)
    shard.remove(k);
  return marked(shard.ticket());
}

void sidecar::adopt(const backend::dumped_item& item, instant now) {
  const std::uint32_t seconds = unix_seconds(now.wall);
  const std::uint32_t exptime = lanes_.clock().ours(item.exptime).second;
  if (exptime != 0 && exptime <= seconds) return;
  // memcached's own uniques count from 1; ours are microseconds.
  constexpr version earliest(std::uint64_t{1} << 40, 0);
  const version unique(item.cas);
  const bool ours = unique > earliest && unique.ticks() <= version::ticks_at(now.wall);
  replication::record r;
  r.key = item.key;
  r.meta.stored = ours ? unique : version(1, index_.node_id());
  r.meta.exptime = exptime;
  if (item.binary) r.meta.marks = mark::binary_key;
  (void)index_.apply(r, now);
}

std::optional<version> sidecar::held(std::string_view key, instant now) {
  const hashed_key k(key);
  auto shard = index_.lock(k, now);
  const auto found = shard.peek(k);
  if (!found || found->meta.kind != engine::item_kind::value) return std::nullopt;
  return found->meta.stored;
}

void sidecar::forget(instant now) {
  journal_looks_.assign(journal_looks_.size(), nullptr);
  scan_looks_.assign(scan_looks_.size(), nullptr);
  {
    const std::lock_guard guard(mutex_);
    for (auto& each : waiting_) {
      for (waiting& w : each) {
        is_kept(w.number);
        doubt(std::move(w.key), (w.what.meta.marks & mark::binary_key) != 0);
      }
      each.clear();
    }
  }
  index_.forget(now);
}

// --- the peer's ----------------------------------------------------------------------------------

apply_status sidecar::apply(const replication::record& incoming, instant now) {
  auto status = apply_status::known;
  apply_all({&incoming, 1}, now, {&status, 1});
  return status;
}

void sidecar::apply_all(std::span<const replication::record> incoming, instant now,
                        std::span<apply_status> results) {
  apply_all(incoming, number_, now, results);
}

void sidecar::apply_all(std::span<const replication::record> incoming, std::uint64_t number,
                        instant now, std::span<apply_status> results) {
  std::array<std::uint64_t, apply_max> hashes;
  for (std::size_t i = 0; i < incoming.size(); ++i) hashes[i] = hash_key(incoming[i].key);
  std::array<part, apply_max> parts;
  for (std::size_t each = 0, left = incoming.size(); left > 0; ++each) {
    std::size_t n = 0;
    for (std::size_t i = 0; i < incoming.size(); ++i)
      if (&lanes_.of(hashes[i]) == &lanes_.at(each))
        parts[n++] = {&incoming[i], hashes[i], &results[i]};
    left -= n;
    if (n > 0) apply_to(lanes_.at(each), {parts.data(), n}, number, now);
  }
}

// The index has no values, flags and CAS uniques: what has the same version is the same.
void sidecar::apply_to(lane& of, std::span<part> parts, std::uint64_t number, instant now) {
  burst to{lane::access(of), number};
  std::array<replication::record, apply_max> known;
  std::array<apply_status, apply_max> merged;
  std::size_t n = 0;
  for (const part& each : parts) {
    const replication::record& incoming = *each.incoming;
    if (incoming.kind != record_kind::held && put_off(to, each)) continue;
    known[n].kind = incoming.kind;
    known[n].key = incoming.key;
    known[n].meta = incoming.meta;
    known[n].meta.flags = 0;
    known[n].meta.cas = 0;
    known[n].meta.marks &= static_cast<std::uint8_t>(~mark::own_cas);
    parts[n++] = each;
  }
  index_.apply_all({known.data(), n}, now, merged);
  for (std::size_t i = 0; i < n; ++i) {
    const replication::record& incoming = *parts[i].incoming;
    *parts[i].result = merged[i];
    if (merged[i] == apply_status::applied) write(to, incoming, now);
    if (merged[i] == apply_status::no_room) write_remove(to, incoming);
  }
  expect_replies(to);
}

// Whether the record cannot be merged now: the backend is gone, or it has to wait.
bool sidecar::put_off(burst& to, const part& which) {
  const replication::record& incoming = *which.incoming;
  if (!to.with.up()) {
    *which.result = apply_status::no_room;
    const std::lock_guard guard(mutex_);
    doubt(std::string(incoming.key), (incoming.meta.marks & mark::binary_key) != 0);
    return true;
  }
  *which.result = apply_status::applied;
  if (waits_for_flush(incoming, to.number)) return true;
  if (to.with.changes(which.hash)) {
    const std::lock_guard guard(mutex_);
    wait(to.with.home(), incoming, to.number);
    return true;
  }
  const bool expires = incoming.kind == record_kind::value && incoming.meta.exptime != 0;
  if (!expires || lanes_.clock().settled()) return false;
  const std::lock_guard guard(mutex_);
  if (lanes_.clock().settled()) return false;  // or clock_settled() may have looked already
  wait(lanes_.size(), incoming, to.number);
  return true;
}

// Under the mutex.
void sidecar::wait(std::size_t queue, const replication::record& incoming, std::uint64_t number) {
  waiting_[queue].push_back(
      {incoming, std::string(incoming.key), std::string(incoming.value), number});
  ++unkept_[number];
}

void sidecar::retry(std::uint16_t home, instant now) {
  try_again(home, now);
}

void sidecar::clock_settled(instant now) {
  try_again(lanes_.size(), now);
}

void sidecar::try_again(std::size_t queue, instant now) {
  std::vector<waiting> again;
  {
    const std::lock_guard guard(mutex_);
    if (waiting_[queue].empty()) return;
    again.swap(waiting_[queue]);
  }
  for (waiting& each : again) {
    each.what.key = each.key;
    each.what.value = each.value;
    auto status = apply_status::known;
    apply_all({&each.what, 1}, each.number, now, {&status, 1});
    const std::lock_guard guard(mutex_);
    is_kept(each.number);
  }
}

void sidecar::write(burst& to, const replication::record& incoming, instant now) {
  const item_meta& meta = incoming.meta;
  const bool over = meta.exptime != 0 && meta.exptime <= unix_seconds(now.wall);
  if (incoming.kind != record_kind::value || over) return write_remove(to, incoming);
  const backend::item_name name{incoming.key, (meta.marks & mark::binary_key) != 0};
  byte_buffer& out = to.with.quiet_out();
  const backend::clock& clock = lanes_.clock();
  const std::uint32_t its_now = clock.second(now.wall);
  backend::item_head head{name,
                          meta.flags,
                          clock.theirs(meta.exptime, incoming.exptime_part),
                          incoming.value_size(),
                          {}};
  if (to.with.explicit_cas()) head.cas = meta.cas_unique();
  backend::write_item_line(out, head, its_now);
  for (std::size_t at = 0; at < head.value_size; at += incoming.piece_at(at).size())
    out.append(incoming.piece_at(at));
  out.append(protocol::reply::crlf);
  expect_done(to, name);
  if ((meta.marks & mark::stale) == 0) return;
  backend::write_stale(out, head, its_now);
  expect_done(to, name);
  if ((meta.marks & mark::win_sent) == 0) return;
  backend::write_win(out, name);
  expect_done(to, name);
}

void sidecar::write_remove(burst& to, const replication::record& incoming) {
  const backend::item_name name{incoming.key, (incoming.meta.marks & mark::binary_key) != 0};
  backend::write_remove(to.with.quiet_out(), name);
  expect_done(to, name);
}

// What the reply says is of no interest: if the backend could not store it, it is not there, and
// neither is what it replaces. `name`: without a key, all of them.
void sidecar::expect_done(burst& to, const backend::item_name& name) {
  expected e;
  e.who = this;
  e.home = to.with.home();
  e.reply.how = backend::treatment::nothing;
  to.with.add_quiet(e);
  to.written.push_back({std::string(name.key), name.binary, to.number});
}

// The lane is still locked: the replies have not come.
void sidecar::expect_replies(burst& to) {
  if (to.written.empty()) return;
  const std::lock_guard guard(mutex_);
  unkept_[to.number] += to.written.size();
  auto& before = written_[to.with.home()];
  before.insert(before.end(), std::make_move_iterator(to.written.begin()),
                std::make_move_iterator(to.written.end()));
}

// --- what is not known to be written -------------------------------------------------------------

// In the lane's thread.
bool sidecar::answered(const expected& to, std::string_view reply) {
  const std::lock_guard guard(mutex_);
  auto& written = written_[to.home];
  for (std::uint32_t i = 0; i < to.requests; ++i) {
    if (reply.empty())
      doubt(std::move(written.front().key), written.front().binary);
    else if (lanes_.flushes() != 0)
      note_beside_flush(written.front().key, written.front().binary);
    is_kept(written.front().number);
    written.pop_front();
  }
  return false;
}

std::uint64_t sidecar::applied() {
  const std::lock_guard guard(mutex_);
  return number_++;
}

std::uint64_t sidecar::kept() {
  const std::lock_guard guard(mutex_);
  const std::uint64_t first = first_unkept();
  asked_ = unkept_.empty() ? std::nullopt : std::optional(first);
  return first;
}

// Under the mutex.
std::uint64_t sidecar::first_unkept() const {
  return unkept_.empty() ? all_kept : unkept_.begin()->first;
}

// Under the mutex: one of those with this number. Wakes the link if it may acknowledge more.
void sidecar::is_kept(std::uint64_t number) {
  const auto found = unkept_.find(number);
  if (--found->second == 0) unkept_.erase(found);
  if (!asked_ || first_unkept() <= *asked_) return;
  asked_.reset();
  arrived();
}

// Under the mutex.
void sidecar::doubt(std::string key, bool binary) {
  if (key.empty() || doubts_.size() >= doubts_max) doubts_all_ = true;
  if (doubts_all_) return doubts_.clear();
  doubts_.push_back({std::move(key), binary});
}

bool sidecar::settle_doubts() {
  std::vector<written_key> some;
  {
    const std::lock_guard guard(mutex_);
    if (std::exchange(doubts_all_, false)) some.emplace_back();
    for (written_key& each : doubts_) some.push_back(std::move(each));
    doubts_.clear();
    if (some.empty())
      return flushes_.empty() && std::all_of(written_.begin(), written_.end(),
                                             [](const auto& each) { return each.empty(); });
  }
  for (written_key& each : some) {
    const bool all = each.key.empty();
    burst to{lane::access(all ? lanes_.at(0) : lanes_.of(hash_key(each.key))), number_of_none};
    if (!to.with.up()) {
      const std::lock_guard guard(mutex_);
      doubt(std::move(each.key), each.binary);
      continue;
    }
    const backend::item_name name{each.key, each.binary};
    if (all)
      to.with.quiet_out().append("flush_all\r\n");
    else
      backend::write_remove(to.with.quiet_out(), name);
    expect_done(to, name);
    expect_replies(to);
  }
  return false;
}

}  // namespace tandem::service
