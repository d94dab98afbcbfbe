#include "tests/sim/scenario.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <vector>

#include "tests/sim/machine.h"
#include "tests/sim/network.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

namespace tandem::sim {

namespace {

using std::chrono::milliseconds;

constexpr micros safety_phase = 20 * second;
constexpr micros rest_limit = 180 * second;
constexpr micros ttl_grace = 15 * second;  // expiry times and clock offsets have passed by then

class scenario {
 public:
  scenario(std::uint64_t seed, bool trace);
  void run();
  outcome result() const;

 private:
  machine_config configure(const std::string& name, host_id id);
  void client();
  void write(machine& m, const std::string& key);
  void fault();
  void crash(machine& m, bool reset);
  void heal_all();
  machine& any() { return *machines_[world_.random.below(2)]; }

  world world_;
  network network_;
  const bool tight_;  // memory for a part of the values only
  const bool expiry_;
  std::vector<std::string> keys_;
  micros client_gap_;
  micros fault_gap_;
  std::unique_ptr<oracle> oracle_;
  std::unique_ptr<machine> machines_[2];
  bool quiet_ = false;  // clients and faults have ended
  outcome outcome_;
};

scenario::scenario(std::uint64_t seed, bool trace)
    : world_(seed, trace),
      network_(world_),
      tight_(world_.random.chance(300)),
      expiry_(world_.random.chance(500)),
      client_gap_(world_.between(1 * milli, 60 * milli)),
      fault_gap_(world_.between(150 * milli, 3 * second)) {
  const std::uint64_t keys = tight_ ? 150 : 1 + world_.random.below(40);
  for (std::uint64_t i = 0; i < keys; ++i) keys_.push_back("key" + std::to_string(i));
  oracle_ = std::make_unique<oracle>(world_, keys_, tight_, expiry_);
  const auto look = [this](machine& m) { oracle_->look(m); };
  machines_[0] = std::make_unique<machine>(world_, network_, configure("A", 0), look);
  machines_[1] = std::make_unique<machine>(world_, network_, configure("B", 1), look);
}

machine_config scenario::configure(const std::string& name, host_id id) {
  prng& r = world_.random;
  machine_config c;
  c.name = name;
  c.id = id;
  // B always knows A; A may know B, may be B's passive master.
  if (id == 1 || r.chance(500)) c.peer = 1 - id;
  c.store.shards = tight_ ? 1 : std::size_t{1} << r.below(3);
  c.store.memory_bytes = (tight_ ? std::size_t{1} : std::size_t{32}) << 20;
  c.store.journal_bytes = c.store.shards * (std::size_t{16} << 10) << r.below(5);
  if (r.chance(500)) c.node.node_id = id;
  c.node.heartbeat_interval = milliseconds(world_.between(50, 200));
  c.node.dead_after = milliseconds(world_.between(500, 1500));
  c.node.join_timeout = milliseconds(world_.between(500, 3000));
  c.node.batch_interval = milliseconds(world_.between(0, 5));
  c.node.frame_bytes = std::size_t{64} << r.below(11);
  c.node.window_bytes = std::size_t{1024} << r.below(13);
  c.node.unsent_bytes = std::size_t{4096} << r.below(7);
  return c;
}

void scenario::write(machine& m, const std::string& key) {
  prng& r = world_.random;
  m.execute([&](service::store& s, instant now) {
    const service::hashed_key k(key);
    const auto roll = r.below(1000);
    const std::uint32_t exptime =
        expiry_ && r.chance(200) ? unix_seconds(now.wall) + static_cast<std::uint32_t>(r.below(6))
                                 : 0;
    if (roll < 150) {
      s.lock(k, now).remove(k);
      oracle_->deleted(m, key);
    } else if (roll < 230) {
      s.lock(k, now).touch(k, exptime);
    } else if (roll < 236 && expiry_) {
      s.flush_all(r.chance(500) ? unix_seconds(now.wall) + 2 : 0, now);
    } else {
      std::string value = m.config().name + ":" + key + ":" + std::to_string(world_.now()) + ":";
      const std::size_t most = tight_ ? 20'000 : roll > 970 ? 200'000 : 300;
      value.resize(value.size() + r.below(most), 'v');
      const auto put =
          s.lock(k, now).put(k, static_cast<std::uint32_t>(r.below(9)), exptime, value);
      if (put.status == engine::store_status::stored) oracle_->stored(m, key, put.stored, value);
    }
    ++outcome_.writes;
    world_.say(m.config().name +
               (roll < 150   ? " deletes "
                : roll < 230 ? " touches "
                             : " sets ") +
               key);
  });
}

void scenario::client() {
  if (quiet_) return;
  machine& m = any();
  if (m.serving()) {
    // Now and then a burst, which is what overruns a small journal.
    const std::uint64_t commands = world_.random.chance(3) ? 3000 : 1 + world_.random.below(3);
    for (std::uint64_t i = 0; i < commands && m.serving(); ++i)
      write(m, keys_[world_.random.below(keys_.size())]);
  }
  world_.after(world_.between(1, 2 * client_gap_), [this] { client(); });
}

void scenario::crash(machine& m, bool reset) {
  if (!m.up()) return;
  machine& other = *machines_[m.config().id == 0 ? 1 : 0];
  if (other.up()) oracle_->check_loss(m, other);
  outcome_.overruns += m.status().journal_overruns;
  m.crash(reset);
  oracle_->forget(m);
  world_.after(world_.between(10 * milli, 3 * second), [this, &m] {
    if (m.up()) return;
    // An old master may come back with other flags than it had, as long as someone dials.
    if (m.config().id == 0 && world_.random.chance(500)) {
      if (m.config().peer)
        m.config().peer.reset();
      else
        m.config().peer = 1;
    }
    m.start();
  });
}

void scenario::fault() {
  if (quiet_) return;
  ++outcome_.faults;
  prng& r = world_.random;
  const micros a_while = r.chance(300) ? world_.between(1 * second, 6 * second)
                                       : world_.between(1 * milli, 900 * milli);
  machine& m = any();
  switch (r.below(8)) {
    case 0:
    case 1: {
      const host_id from = static_cast<host_id>(r.below(2));
      const bool both = r.chance(600);
      world_.say(both ? "partition" : "one-way partition");
      network_.block(from, 1 - from, true);
      if (both) network_.block(1 - from, from, true);
      world_.after(a_while, [this, from, both] {
        network_.block(from, 1 - from, false);
        if (both) network_.block(1 - from, from, false);
      });
      break;
    }
    case 2:
      world_.say("resets");
      network_.reset_all();
      break;
    case 3:
      crash(m, true);
      break;
    case 4:
      crash(m, false);
      break;
    case 5:
      m.pause();
      world_.after(a_while, [&m] { m.resume(); });
      break;
    case 6:
      m.step_clock(world_.between(-2 * second, 2 * second));
      break;
    case 7:
      m.set_drift(static_cast<double>(world_.between(0, 400)) * 1e-6);
      break;
  }
  world_.after(world_.between(1, 2 * fault_gap_), [this] { fault(); });
}

void scenario::heal_all() {
  quiet_ = true;
  world_.say("everything heals");
  network_.heal();
  for (const auto& m : machines_) {
    m->resume();
    if (!m->up()) m->start();
  }
}

void scenario::run() {
  machines_[world_.random.below(2)]->start();
  world_.after(world_.random.chance(500) ? 0 : world_.between(0, 4 * second), [this] {
    for (const auto& m : machines_)
      if (!m->up()) m->start();
  });
  world_.after(10 * milli, [this] { client(); });
  world_.after(fault_gap_, [this] { fault(); });
  world_.run_until(safety_phase);
  heal_all();
  machine& a = *machines_[0];
  machine& b = *machines_[1];
  const micros limit = world_.now() + rest_limit;
  while (!oracle::settled(a, b)) {
    if (world_.now() >= limit) {
      const auto describe = [](machine& m) {
        const auto s = m.status();
        return m.config().name + ": " + std::string(to_string(s.role)) +
               (s.linked ? " linked" : " alone") + (s.peer_in_sync ? " in sync" : "") + " lag " +
               std::to_string(s.lag_records) + "; ";
      };
      throw violation("liveness: not at rest: " + describe(a) + describe(b));
    }
    world_.run_until(world_.now() + 100 * milli);
  }
  world_.run_until(world_.now() + ttl_grace);
  if (!oracle::settled(a, b)) throw violation("liveness: did not stay at rest");
  oracle_->check_rest(a, b);
}

outcome scenario::result() const {
  outcome o = outcome_;
  o.repeatable = !tight_;
  o.trace_hash = world_.trace_hash();
  o.events = world_.events();
  for (const auto& m : machines_) {
    if (!m->up()) continue;
    o.overruns += m->status().journal_overruns;
    o.evictions += m->data().statistics().evictions;
  }
  return o;
}

}  // namespace

outcome run_scenario(std::uint64_t seed, bool trace) {
  scenario s(seed, trace);
  try {
    s.run();
  } catch (const violation& v) {
    outcome o = s.result();
    o.ok = false;
    o.violation = v.what();
    return o;
  }
  return s.result();
}

}  // namespace tandem::sim
