#include "tests/sim/oracle.h"

#include <algorithm>
#include <utility>

#include "common/base/hash.h"

namespace tandem::sim {

using engine::item_kind;
using replication::role_state;
using service::hashed_key;

namespace {

std::string value_of(const engine::item_view& item) {
  std::string value;
  while (value.size() < item.value_size()) value += item.piece_at(value.size());
  return value;
}

// A copy of what a store holds under a key, whatever its kind.
struct state {
  bool there = false;
  bool visible = false;
  engine::item_meta meta;
  std::string value;
};

state state_of(machine& m, const std::string& key) {
  state s;
  const hashed_key k(key);
  auto locked = m.data().lock(k, m.now());
  const auto item = locked.peek(k);
  if (!item) return s;
  s.there = true;
  s.visible = locked.visible(*item);
  s.meta = item->meta;
  s.value = value_of(*item);
  return s;
}

std::string word(version v) {
  return std::to_string(v.word());
}

}  // namespace

oracle::oracle(const world& w, const std::vector<std::string>& keys, rules r)
    : world_(w), rules_(r) {
  for (const std::string& name : keys) {
    key_history h;
    h.name = name;
    h.hash = hash_key(name);
    keys_.push_back(std::move(h));
  }
}

std::vector<oracle::known>& oracle::seen(const machine& m) {
  auto& all = seen_[m.config().id];
  if (all.empty()) all.resize(keys_.size());
  return all;
}

void oracle::forget(const machine& m) {
  seen_.erase(m.config().id);
  dropped_.erase(m.config().id);
}

void oracle::clock_is_set(const machine& m) {
  latest_second_ = std::max(latest_second_, unix_seconds(m.now().wall));
}

// --- what clients were told ----------------------------------------------------------------------

void oracle::stored(const machine& m, std::size_t key, version v, std::string_view value,
                    std::uint32_t exptime) {
  key_history& h = keys_[key];
  write_down(h, v, {hash_key(value), value.size(), true, world_.now(), life_of(m)});
  if (exptime != 0) h.mortals.push_back({v, exptime});
  known& k = seen(m)[key];
  engine::item_meta meta;
  meta.stored = v;
  k.learn(meta);
  k.verified = 0;
  k.dropped_elsewhere = 0;
  for (const auto& [id, dropped] : dropped_)
    if (id != m.config().id) k.dropped_elsewhere += dropped;
}

void oracle::touched(machine& m, std::size_t key, std::uint32_t exptime) {
  if (exptime == 0) return;
  const state s = state_of(m, keys_[key].name);
  if (s.there) keys_[key].mortals.push_back({s.meta.stored, exptime});
}

void oracle::deleted(machine& m, std::size_t key) {
  key_history& h = keys_[key];
  const state s = state_of(m, h.name);
  if (!s.there) return;  // no room for a tombstone
  h.deleted = std::max(h.deleted, s.meta.stored);
  write_down(h, s.meta.stored, {0, 0, false, world_.now(), life_of(m)});
  seen(m)[key].learn(s.meta);
}

void oracle::met(const machine& m, const machine& other) {
  auto& lives = known_lives_[life_of(m)];
  lives.insert(life_of(other));
  lives.insert(known_lives_[life_of(other)].begin(), known_lives_[life_of(other)].end());
}

// A node cannot know what was issued in lives that it is not linked to by meetings: with its clock
// behind it may repeat them, over a cache of which nothing is left.
void oracle::write_down(key_history& h, version v, written what) {
  const auto [begin, end] = h.versions.equal_range(v.word());
  const auto& heard_of = known_lives_[what.life];
  if (std::any_of(begin, end, [&](const auto& each) {
        return each.second.life == what.life || heard_of.contains(each.second.life);
      }))
    throw violation("P4: version " + word(v) + " issued twice for " + h.name);
  h.versions.emplace(v.word(), what);
}

bool oracle::written_before(const key_history& h, version v, version other) {
  const auto [a, a_end] = h.versions.equal_range(v.word());
  const auto [b, b_end] = h.versions.equal_range(other.word());
  if (a == a_end || b == b_end) return true;
  const auto earlier = [](const auto& x, const auto& y) { return x.second.when < y.second.when; };
  return std::min_element(a, a_end, earlier)->second.when <
         std::max_element(b, b_end, earlier)->second.when;
}

std::string oracle::describe(machine& m, std::size_t key) {
  const state s = state_of(m, keys_[key].name);
  std::string text = m.config().name + "/" + keys_[key].name + ": ";
  if (!s.there) return text + "nothing";
  return text + (s.meta.kind == item_kind::tombstone ? "tombstone" : "value") +
         (s.visible ? "" : " (hidden)") + " stored " + word(s.meta.stored) + " touched " +
         word(s.meta.touched) + " exptime " + std::to_string(s.meta.exptime);
}

void oracle::promised(machine& m, machine* peer, std::size_t key, const engine::item_meta& state) {
  for (machine* const each : {&m, peer}) {
    if (each == nullptr) continue;
    known& k = seen(*each)[key];
    if (std::pair(k.promised.stored, k.promised.touched) < std::pair(state.stored, state.touched))
      k.promised = state;
    look_at_key(*each, key, k);
  }
}

// --- at any moment -------------------------------------------------------------------------------

std::uint64_t oracle::dropped_at(machine& m) {
  const auto s = m.data().statistics();
  const auto n = m.status();
  return s.evictions + s.tombstones_dropped + n.refused_no_room + n.refused_by_floor;
}

void oracle::look(machine& m) {
  clocks_[m.config().id] = &m;
  if (m.data().used_bytes() > m.data().memory_limit())
    throw violation("P5: " + m.config().name + " uses " + std::to_string(m.data().used_bytes()) +
                    " bytes of " + std::to_string(m.data().memory_limit()));
  if (m.serving() && m.role() != role_state::master && m.role() != role_state::slave)
    throw violation("P8: " + m.config().name + " serves as " +
                    std::string(replication::to_string(m.role())));
  if (rules_.may_evict) dropped_[m.config().id] = dropped_at(m);
  auto& all = seen(m);
  for (std::size_t key = 0; key < keys_.size(); ++key) look_at_key(m, key, all[key]);
}

void oracle::look_at_key(machine& m, std::size_t key, known& k) {
  const key_history& h = keys_[key];
  const hashed_key hashed(h.name, h.hash);
  bool there = false, visible = false, wrong = false;
  engine::item_meta meta;
  {
    auto locked = m.data().lock(hashed, m.now());
    if (const auto item = locked.peek(hashed)) {
      there = true;
      meta = item->meta;
      visible = locked.visible(*item);
      if (visible && k.verified != meta.stored.word()) {
        // Read once: what is stored under a version is not changed but replaced.
        const auto [begin, end] = h.versions.equal_range(meta.stored.word());
        const std::uint64_t hash = hash_key(value_of(*item));
        wrong = std::none_of(begin, end, [&](const auto& each) {
          const written& w = each.second;
          return w.value && w.value_size == item->value_size() && w.value_hash == hash;
        });
        k.verified = meta.stored.word();
      }
    }
  }
  if (wrong) throw violation("P2: a value nobody stored under its version: " + describe(m, key));
  if (visible && meta.stored < k.stored && !rules_.strangers &&
      written_before(h, meta.stored, k.stored))
    throw violation("P2: an older state came back, after " + word(k.stored) + ": " +
                    describe(m, key));
  if (k.visible && !there && !may_have_gone(m, h, k.stored))
    throw violation("P7: a value vanished, stored " + word(k.stored) + ": " + describe(m, key));
  known held;
  if (there) held.learn(meta);
  if (held.older_than(k.promised) && !may_have_gone(m, h, k.promised.stored))
    throw violation("P3: " + m.config().name + " lacks a change that a client relies on, stored " +
                    word(k.promised.stored) + " touched " + word(k.promised.touched) + ": " +
                    describe(m, key));
  if (there) k.learn(meta);
  k.visible = visible;
}

// Whether there is a reason that a state of this version is not to be found on `m`: it was deleted,
// flushed or evicted, or it, or what replaced it elsewhere, has expired by some machine's clock.
bool oracle::may_have_gone(machine& m, const key_history& h, version v) {
  if (rules_.may_evict || h.deleted >= v || m.data().flush().watermark >= v) return true;
  for (const auto& [id, each] : clocks_) clock_is_set(*each);
  return std::any_of(h.mortals.begin(), h.mortals.end(), [&](const mortal& each) {
    return each.stored >= v && each.exptime <= latest_second_;
  });
}

void oracle::look_at_roles(const machine& a, const machine& b) const {
  // Each lone start begins with term 1: no two nodes can agree on a number before they meet.
  if (rules_.strangers || !a.up() || !b.up() || a.term() != b.term() || a.term() <= 1) return;
  if (a.role() == role_state::master && b.role() == role_state::master)
    throw violation("P6: two masters in term " + std::to_string(a.term()));
}

void oracle::check_lag(machine& m, machine& other) {
  // With strangers about, who is linked may be linked with one of them.
  if (rules_.strangers) return;
  const auto status = m.status();
  const auto theirs = other.status();
  if (!status.linked || !theirs.linked || !status.peer_in_sync) return;
  look(other);
  clock_is_set(m);
  clock_is_set(other);
  const std::uint64_t dropped = rules_.may_evict ? dropped_at(other) : 0;
  const version watermark = other.data().flush().watermark;
  const auto& there = seen(other);
  const auto& here = seen(m);
  std::uint64_t lacking = 0;
  std::string which;
  for (std::size_t key = 0; key < keys_.size(); ++key) {
    const key_history& h = keys_[key];
    const hashed_key hashed(h.name, h.hash);
    engine::item_meta meta;
    {
      auto locked = m.data().lock(hashed, m.now());
      const auto item = locked.peek(hashed);
      if (!item || !locked.visible(*item)) continue;
      meta = item->meta;
    }
    if (meta.changed().node() != status.node_id || !there[key].older_than(meta)) continue;
    // A delete that was confirmed may have left no trace; what was flushed, had expired by a clock
    // that was ahead, or may have been evicted since it was written is no loss.
    if (h.deleted > meta.stored || watermark >= meta.stored) continue;
    if (meta.exptime != 0 && meta.exptime <= latest_second_) continue;
    if (rules_.may_evict && dropped != here[key].dropped_elsewhere) continue;
    ++lacking;
    which = h.name;
  }
  // Each refused by a floor had expired there by a clock that is ahead (or its slot's neighbour).
  if (lacking > status.lag_records + theirs.refused_by_floor)
    throw violation("P3: " + other.config().name + " lacks " + std::to_string(lacking) +
                    " changes (" + which + "), the lag is said to be " +
                    std::to_string(status.lag_records));
}

// --- at the end ----------------------------------------------------------------------------------

bool oracle::settled(machine& a, machine& b) {
  if (!a.up() || !b.up()) return false;
  const auto rested = [](const replication::node_status& s) {
    return s.linked && s.serving && s.peer_in_sync && s.lag_records == 0 && s.lag_bytes == 0;
  };
  // One that was asked for later may have fallen due just now, and is not a record of a lag.
  const bool same_flush = a.data().flush().watermark == b.data().flush().watermark;
  return rested(a.status()) && rested(b.status()) && same_flush;
}

void oracle::check_rest(machine& a, machine& b) {
  if ((a.role() == role_state::master) == (b.role() == role_state::master))
    throw violation("P6: not exactly one master at rest");
  if (a.term() != b.term()) throw violation("P6: the terms differ at rest");
  if (a.data().flush().watermark != b.data().flush().watermark)
    throw violation("P1: a flush_all is known on one side only");
  look(a);
  look(b);
  for (std::size_t key = 0; key < keys_.size(); ++key) check_key_at_rest(a, b, key);
}

void oracle::check_key_at_rest(machine& a, machine& b, std::size_t key) {
  const key_history& h = keys_[key];
  const state x = state_of(a, h.name);
  const state y = state_of(b, h.name);
  const version highest = std::max(seen(a)[key].stored, seen(b)[key].stored);
  for (const auto& [s, m] : {std::pair<const state&, machine&>(x, a), {y, b}})
    if (s.visible && s.meta.stored < highest && !rules_.strangers &&
        written_before(h, s.meta.stored, highest))
      throw violation("P2: stale at rest, newest seen " + word(highest) + ": " + describe(m, key));
  if (x.visible && y.visible) {
    if (x.meta != y.meta || x.value != y.value)
      throw violation("P1: two states at rest: " + describe(a, key) + "; " + describe(b, key));
    return;
  }
  // Missing on one side: evicted or refused there (where it had expired, by a clock that is ahead,
  // before it was touched here).
  if (x.visible != y.visible && dropped_at(x.visible ? b : a) == 0)
    throw violation("P1: on one side only: " + describe(a, key) + "; " + describe(b, key));
}

}  // namespace tandem::sim
