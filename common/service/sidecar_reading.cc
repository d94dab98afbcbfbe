// What a backend's index tells the peer: states named by it, with the values that the backend has.
#include <algorithm>
#include <utility>

#include "common/service/sidecar.h"

namespace tandem::service {

using backend::expected;
using backend::lane;
using replication::record_kind;
namespace mark = engine::mark;

namespace {

// States of one look: their values are in memory together.
constexpr std::size_t journal_look = 32;
// Those of one look of a scan. Each takes a way to the backend and back, so the more the faster, up
// to so many bytes: they come in the order of a hash, so that the next ones are as large as the
// last ones were.
constexpr std::size_t scan_look_min = 32, scan_look_max = 1024;
constexpr std::size_t scan_look_bytes = std::size_t{512} << 10;
// Where few are wanted, index positions of one look.
constexpr unsigned scan_positions_max = 8192;
// Of one lane's lock.
constexpr std::size_t access_fetches = 128;

// A look by mg would be told to refresh a stale item, in a client's place; gets does not show more
// than the index knows.
bool reads_beside(std::uint8_t marks) {
  return (marks & mark::stale) != 0 && (marks & mark::binary_key) == 0;
}

}  // namespace

// The backend says how many seconds an item has, and the second from which it counted is known but
// near its ticks, or if the answer has waited for the peer. Then the index knows better, unless the
// item was changed in a way that this did not hear of.
backend::clock::moment sidecar::exptime_of(const backend::fetched_item& item, const wanted& w,
                                           instant now) const {
  if (!item.ttl) return {};
  const backend::clock& clock = lanes_.clock();
  const std::uint32_t earliest = clock.earliest(w.asked) + *item.ttl;
  const std::uint32_t latest = clock.latest(now.wall) + *item.ttl;
  const std::uint32_t known = clock.theirs(w.meta.exptime);
  const bool near = known + 1 >= earliest && known <= latest + 1;
  return clock.ours(near ? std::clamp(known, earliest, latest) : clock.second(w.asked) + *item.ttl);
}

// --- looks ---------------------------------------------------------------------------------------

sidecar::look_ptr sidecar::look_at_journal(std::size_t shard, replication::journal::position from,
                                           instant now) {
  auto look = std::make_shared<look_out>(*this);
  look->from = from;
  while (look->states.size() < journal_look) {
    const std::size_t before = look->states.size();
    const auto after = index_.read_journal(shard, from, now, [&](const replication::record& r) {
      look->states.push_back({r.kind, std::string(r.key), r.meta});
      return false;
    });
    if (after == from) break;
    from = after;
    // Only entries that later ones speak for.
    if (look->states.size() == before) look->states.push_back({record_kind::held, {}, {}});
    look->states.back().after = after;
  }
  ask(look, now);
  return look;
}

sidecar::look_ptr sidecar::look_at_index(std::size_t shard, const engine::cursor& at,
                                         unsigned budget, version newer_than, instant now) {
  auto look = std::make_shared<look_out>(*this);
  look->begin = look->end = at;
  look->newer_than = newer_than;
  for (unsigned seen = 0;
       seen < scan_positions_max && look->states.size() < scan_look_ && !look->end.done;
       seen += budget)
    index_.scan(shard, look->end, budget, newer_than, now, [&](const replication::record& r) {
      look->states.push_back({r.kind, std::string(r.key), r.meta});
      return true;
    });
  ask(look, now);
  return look;
}

// How large the next looks of scans are, by this one.
void sidecar::size_scans(const look_out& by) {
  std::size_t bytes = 0;
  for (const wanted& w : by.states) bytes += w.reply.size();
  if (by.states.empty()) return;
  const std::size_t fit = scan_look_bytes * by.states.size() / std::max<std::size_t>(bytes, 1);
  scan_look_ = std::clamp(fit, scan_look_min, std::min(2 * scan_look_, scan_look_max));
}

// Asks the backend for the values.
void sidecar::ask(const look_ptr& what, instant now) {
  std::vector<std::vector<std::uint32_t>> by_lane(lanes_.size());
  std::size_t count = 0;
  for (std::uint32_t i = 0; i < what->states.size(); ++i) {
    wanted& w = what->states[i];
    w.fetches = w.kind == record_kind::value;
    w.asked = now.wall;
    if (!w.fetches) continue;
    ++count;
    by_lane[lanes_.of(hash_key(w.key)).home()].push_back(i);
  }
  if (count == 0) return;
  what->missing.store(count);
  what->self = what;
  for (std::size_t home = 0; home < by_lane.size(); ++home)
    for (std::span<const std::uint32_t> rest = by_lane[home]; !rest.empty();) {
      const auto some = rest.first(std::min(rest.size(), access_fetches));
      ask(lanes_.at(home), *what, some);
      rest = rest.subspan(some.size());
    }
}

void sidecar::ask(lane& of, look_out& what, std::span<const std::uint32_t> states) {
  lane::access with(of);
  for (const std::uint32_t number : states) {
    const wanted& w = what.states[number];
    expected e;
    e.who = &what;
    e.number = number;
    e.home = with.home();
    e.reply.shape = backend::reply_shape::meta;
    if (!with.up()) {
      what.answered(e, {});
    } else if (reads_beside(w.meta.marks)) {
      backend::write_gets(with.out(), w.key);
      e.reply.shape = backend::reply_shape::values;
      with.add(e, {});
    } else {
      backend::write_fetch(with.out(), {w.key, (w.meta.marks & mark::binary_key) != 0});
      with.add(e, {});
    }
  }
}

bool sidecar::look_out::answered(const expected& to, std::string_view reply) {
  states[to.number].reply = reply;
  if (reply.empty()) lost.store(true);
  if (missing.fetch_sub(1) != 1) return false;
  const look_ptr last = std::move(self);
  // Where some are lost opened() will wake.
  if (!lost.load()) owner.arrived();
  return false;
}

// The state may have been replaced while its value was fetched, which is then as new or newer. What
// is deleted meanwhile must not be sent behind the news of that.
bool sidecar::give(const wanted& w, instant now, const replication::record_sink& sink) const {
  if (!w.fetches) {
    if (w.kind == record_kind::held) return true;
    replication::record r;
    r.kind = w.kind;
    r.key = w.key;
    r.meta = w.meta;
    return sink(r);
  }
  bool found = false, goes_on = true;
  index_.look(w.key, now, [&](const replication::record& r) {
    found = true;
    goes_on = r.kind == record_kind::value ? give_fetched(w, now, sink) : sink(r);
    return true;
  });
  if (found) return goes_on;
  replication::record gone;
  gone.kind = record_kind::gone;
  gone.key = w.key;
  gone.meta.stored = w.meta.stored;
  gone.meta.touched = w.meta.touched;
  return sink(gone);
}

// What the backend does not have any more was evicted, or has expired: older states are void.
bool sidecar::give_fetched(const wanted& w, instant now,
                           const replication::record_sink& sink) const {
  replication::record r;
  r.kind = w.kind;
  r.key = w.key;
  r.meta = w.meta;
  const bool stale = reads_beside(w.meta.marks);
  const auto item = stale ? backend::read_gets(w.reply) : backend::read_fetched(w.reply);
  if (!item) {
    r.kind = record_kind::gone;
    r.meta = {};
    r.meta.stored = w.meta.stored;
    r.meta.touched = w.meta.touched;
    return sink(r);
  }
  r.value = item->value;
  r.meta.flags = item->flags;
  if (!stale) {
    const backend::clock::moment end = exptime_of(*item, w, now);
    r.meta.exptime = end.second;
    r.exptime_part = end.part;
  }
  r.meta.cas = item->cas;
  r.meta.marks = static_cast<std::uint8_t>(w.meta.marks | mark::own_cas);
  return sink(r);
}

void sidecar::arrived() {
  arrivals_.fetch_add(1);
  wake_();
}

// --- data_port -----------------------------------------------------------------------------------

replication::journal::position sidecar::read_journal(std::size_t shard,
                                                     replication::journal::position from,
                                                     instant now,
                                                     const replication::record_sink& sink) {
  look_ptr& look = journal_looks_[shard];
  for (bool go_on = true; go_on;) {
    if (!look || look->from != from || look->states.empty() ||
        (look->missing.load() == 0 && look->lost.load()))
      look = look_at_journal(shard, from, now);
    if (look->states.empty() || look->missing.load() != 0 || look->lost.load()) return from;
    std::size_t given = 0;
    while (given < look->states.size() && go_on) {
      const wanted& w = look->states[given++];
      go_on = give(w, now, sink);
      from = w.after;
    }
    look->states.erase(look->states.begin(),
                       look->states.begin() + static_cast<std::ptrdiff_t>(given));
    look->from = from;
    // The next values come while these are sent.
    if (look->states.empty()) look = look_at_journal(shard, from, now);
  }
  return from;
}

void sidecar::scan(std::size_t shard, engine::cursor& at, unsigned budget, version newer_than,
                   instant now, const replication::record_sink& sink) {
  look_ptr& look = scan_looks_[shard];
  if (!look || look->begin != at || look->newer_than != newer_than ||
      (look->missing.load() == 0 && look->lost.load()))
    look = look_at_index(shard, at, budget, newer_than, now);
  if (look->missing.load() != 0 || look->lost.load()) return;
  const look_ptr done = std::exchange(look, nullptr);
  at = done->end;
  size_scans(*done);
  if (!at.done) look = look_at_index(shard, at, budget, newer_than, now);
  for (const wanted& w : done->states) give(w, now, sink);
}

}  // namespace tandem::service
