#include "tests/sim/oracle.h"

#include <algorithm>
#include <utility>

namespace tandem::sim {

using engine::item_kind;
using replication::role_state;

namespace {

// A copy of what a store holds under a key, whatever its kind.
struct state {
  bool there = false;
  bool visible = false;
  engine::item_meta meta;
  std::string value;
};

state state_of(machine& m, const std::string& key) {
  state s;
  const service::hashed_key k(key);
  auto locked = m.data().lock(k, m.now());
  const auto item = locked.peek(k);
  if (!item) return s;
  s.there = true;
  s.visible = locked.visible(*item);
  s.meta = item->meta;
  while (s.value.size() < item->value_size()) s.value += item->piece_at(s.value.size());
  return s;
}

}  // namespace

oracle::oracle(const world& w, std::vector<std::string> keys, bool may_evict, bool may_expire)
    : world_(w), keys_(std::move(keys)), may_evict_(may_evict), may_expire_(may_expire) {}

void oracle::stored(const machine& m, const std::string& key, version v, const std::string& value) {
  written_[key][v] = world_.now();
  engine::item_meta meta;
  meta.stored = v;
  seen_[m.config().id][key].learn(meta);
  const bool fresh = values_[key].emplace(v, value).second;
  values_[key][v] = value;
  // A node that never met a peer since it was started cannot know what was issued before: with its
  // clock set back it may repeat itself, over a cache of which nothing is left.
  if (!fresh && m.status().connects > 0)
    throw violation("P4: version " + std::to_string(v.word()) + " issued twice for " + key);
}

void oracle::deleted(machine& m, const std::string& key) {
  const state s = state_of(m, key);
  deletes_[key] = std::max(deletes_[key], s.meta.stored);
  written_[key][s.meta.stored] = world_.now();
  if (s.there) seen_[m.config().id][key].learn(s.meta);
}

bool oracle::written_before(const std::string& key, version v, version other) const {
  const auto& times = written_.at(key);
  const auto a = times.find(v);
  const auto b = times.find(other);
  return a == times.end() || b == times.end() || a->second < b->second;
}

void oracle::forget(const machine& m) {
  seen_.erase(m.config().id);
}

std::string oracle::describe(machine& m, const std::string& key) {
  const state s = state_of(m, key);
  std::string text = m.config().name + "/" + key + ": ";
  if (!s.there) return text + "nothing";
  return text + (s.meta.kind == item_kind::tombstone ? "tombstone" : "value") +
         (s.visible ? "" : " (hidden)") + " stored " + std::to_string(s.meta.stored.word()) +
         " touched " + std::to_string(s.meta.touched.word()) + " exptime " +
         std::to_string(s.meta.exptime);
}

void oracle::look(machine& m) {
  for (const std::string& key : keys_) {
    const state s = state_of(m, key);
    known& k = seen_[m.config().id][key];
    if (s.there && s.meta.kind == item_kind::value && s.visible) {
      if (s.meta.stored < k.stored && written_before(key, s.meta.stored, k.stored))
        throw violation("P2: an older state came back, after " + std::to_string(k.stored.word()) +
                        ": " + describe(m, key));
      const auto& written = values_[key];
      const auto found = written.find(s.meta.stored);
      if (found == written.end() || found->second != s.value)
        throw violation("P2: a value nobody stored under its version: " + describe(m, key));
    }
    if (k.visible && !s.there && !may_evict_ && !may_expire_ && deletes_[key] < k.stored)
      throw violation("P7: a value vanished: " + describe(m, key));
    if (s.there) k.learn(s.meta);
    k.visible = s.visible;
  }
}

void oracle::check_loss(machine& dead, machine& survivor) {
  const auto status = dead.status();
  if (!status.linked || !survivor.status().linked || !status.peer_in_sync || may_evict_ ||
      may_expire_)
    return;
  std::uint64_t lacking = 0;
  look(survivor);
  for (const std::string& key : keys_) {
    const state there = state_of(dead, key);
    if (!there.visible || there.meta.changed().node() != status.node_id) continue;
    // A delete that was confirmed may have left no trace on the survivor.
    if (deletes_[key] > there.meta.stored) continue;
    if (seen_[survivor.config().id][key].older_than(there.meta)) ++lacking;
  }
  if (lacking > status.lag_records)
    throw violation("P3: " + std::to_string(lacking) + " changes lost, lag was said to be " +
                    std::to_string(status.lag_records));
}

bool oracle::settled(machine& a, machine& b) {
  if (!a.up() || !b.up()) return false;
  const auto sa = a.status();
  const auto sb = b.status();
  const auto rested = [](const replication::node_status& s) {
    return s.linked && s.serving && s.peer_in_sync && s.lag_records == 0 && s.lag_bytes == 0;
  };
  return rested(sa) && rested(sb);
}

void oracle::check_rest(machine& a, machine& b) {
  const auto sa = a.status();
  const auto sb = b.status();
  if ((sa.role == role_state::master) == (sb.role == role_state::master))
    throw violation("P6: not exactly one master at rest");
  if (sa.term != sb.term) throw violation("P6: the terms differ at rest");
  for (const std::string& key : keys_) {
    const state x = state_of(a, key);
    const state y = state_of(b, key);
    const version highest =
        std::max(seen_[a.config().id][key].stored, seen_[b.config().id][key].stored);
    for (const auto& [s, m] : {std::pair<const state&, machine&>(x, a), {y, b}})
      if (s.visible && s.meta.stored < highest && written_before(key, s.meta.stored, highest))
        throw violation("P2: stale at rest, newest seen " + std::to_string(highest.word()) + ": " +
                        describe(m, key));
    if (x.visible && y.visible) {
      if (x.meta != y.meta || x.value != y.value)
        throw violation("P1: two states at rest: " + describe(a, key) + "; " + describe(b, key));
    } else if (x.visible != y.visible && !may_evict_ &&
               (x.visible ? sb : sa).refused_by_floor == 0) {
      // Refused: it had expired there, by a clock that is ahead, before it was touched here.
      throw violation("P1: on one side only: " + describe(a, key) + "; " + describe(b, key));
    }
  }
}

}  // namespace tandem::sim
