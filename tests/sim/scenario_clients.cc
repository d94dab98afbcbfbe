// What clients do in a run, and what they are told, which the oracle remembers.
#include "tests/sim/scenario.h"

namespace tandem::sim {

using engine::store_status;
using service::hashed_key;

namespace {
constexpr std::uint64_t burst_commands = 1500;  // overruns a small journal
constexpr unsigned burst_per_mille = 4;
}  // namespace

void scenario::client() {
  if (quiet_) return;
  prng& r = world_.random;
  // The third machine has clients of its own.
  const bool guest_works = plan_.third != guest::none && r.chance(150);
  machine& m = guest_works ? *machines_[guest_id] : any();
  if (m.takes_changes()) {
    const std::uint64_t commands = r.chance(burst_per_mille) ? burst_commands : 1 + r.below(3);
    for (std::uint64_t i = 0; i < commands && m.takes_changes(); ++i)
      write(m, r.below(plan_.keys.size()));
  }
  world_.after(world_.between(1, 2 * plan_.client_gap), [this] { client(); });
}

void scenario::write(machine& m, std::size_t key) {
  m.execute([&](service::store& s, instant now) {
    const unsigned deletes = plan_.many_deletes ? 600 : 150;
    const auto roll = world_.random.below(1000);
    if (roll < deletes)
      remove(m, key, s, now);
    else if (roll < deletes + 80)
      touch(m, key, s, now);
    else if (roll < deletes + 160)
      swap(m, key, s, now);
    else if (roll < deletes + 166 && plan_.expiry)
      s.flush_all(world_.random.chance(500) ? unix_seconds(now.wall) + 2 : 0, now);
    else
      put(m, key, s, now);
    ++outcome_.writes;
  });
}

// The promise is made when the reply goes out: to hold it, the peer of now must have been there all
// the time. (One that has died since was the first of the two to be lost.)
void scenario::reply(machine& m, std::size_t key, const service::store::locked& shard) {
  const hashed_key k(plan_.keys[key]);
  const auto item = shard.peek(k);
  if (!item || !counts(m) || plan_.third == guest::stranger) return;
  machine& peer = other_than(m);
  m.reply(shard.ticket(), [this, &m, &peer, key, meta = item->meta, life = peer.incarnation()] {
    ++outcome_.promised;
    const bool there = peer.up() && peer.incarnation() == life;
    oracle_.promised(m, there ? &peer : nullptr, key, meta);
  });
}

std::uint32_t scenario::draw_exptime(instant now) {
  if (!plan_.expiry || !world_.random.chance(200)) return 0;
  return unix_seconds(now.wall) + static_cast<std::uint32_t>(world_.random.below(6));
}

void scenario::remove(machine& m, std::size_t key, service::store& s, instant now) {
  const hashed_key k(plan_.keys[key]);
  {
    auto locked = s.lock(k, now);
    locked.remove(k);
    reply(m, key, locked);
  }
  if (counts(m)) oracle_.deleted(m, key);
  world_.say(m.config().name + " deletes " + plan_.keys[key]);
}

void scenario::touch(machine& m, std::size_t key, service::store& s, instant now) {
  const hashed_key k(plan_.keys[key]);
  const std::uint32_t exptime = draw_exptime(now);
  bool found = false;
  {
    auto locked = s.lock(k, now);
    found = locked.touch(k, exptime);
    if (found) reply(m, key, locked);
  }
  if (found && counts(m)) oracle_.touched(m, key, exptime);
  world_.say(m.config().name + " touches " + plan_.keys[key]);
}

// A value with everything that the meta commands give one: marks, a CAS unique of its own; or the
// same value under a new version.
void scenario::swap(machine& m, std::size_t key, service::store& s, instant now) {
  prng& r = world_.random;
  const hashed_key k(plan_.keys[key]);
  const std::uint32_t exptime = draw_exptime(now);
  const auto marks = static_cast<std::uint8_t>(r.below(8));
  const service::store::own_cas cas =
      r.chance(500) ? service::store::own_cas(r.below(1000)) : std::nullopt;
  std::string value;
  service::store::locked::put_result put;
  {
    auto locked = s.lock(k, now);
    const auto item = locked.find(k);
    if (!item) return;
    while (value.size() < item->value_size()) value += item->piece_at(value.size());
    put = r.chance(500) ? locked.renew(k, exptime, marks, cas)
                        : locked.put(k, 7, exptime, value, marks, cas);
    if (put.status == store_status::stored) reply(m, key, locked);
  }
  if (put.status == store_status::stored && counts(m))
    oracle_.stored(m, key, put.stored, value, exptime);
  world_.say(m.config().name + " renews " + plan_.keys[key]);
}

void scenario::put(machine& m, std::size_t key, service::store& s, instant now) {
  prng& r = world_.random;
  const hashed_key k(plan_.keys[key]);
  const std::uint32_t exptime = draw_exptime(now);
  std::string value = m.config().name + ":" + std::to_string(key) + ":" +
                      std::to_string(world_.now()) + ":" + std::to_string(outcome_.writes) + ":";
  const bool large = plan_.large_value_max != 0 && r.chance(20);
  value.resize(value.size() + r.below(large ? plan_.large_value_max : plan_.value_max), 'v');
  service::store::locked::put_result put;
  {
    auto locked = s.lock(k, now);
    put = locked.put(k, static_cast<std::uint32_t>(r.below(9)), exptime, value);
    if (put.status == store_status::stored) reply(m, key, locked);
  }
  if (put.status == store_status::stored && counts(m))
    oracle_.stored(m, key, put.stored, value, exptime);
  world_.say(m.config().name + " sets " + plan_.keys[key]);
}

}  // namespace tandem::sim
