#include "tests/sim/plan.h"

#include <algorithm>

namespace tandem::sim {

using std::chrono::milliseconds;

namespace {

constexpr std::size_t long_key = 240;            // bytes: some 60 fill a journal of the least size
constexpr micros clock_apart_max = 29 * second;  // two machines stay below the limit of 60 s

void draw_keys(world& w, plan& p) {
  prng& r = w.random;
  std::size_t count = 1 + r.below(40);
  if (p.tight) count = 150;
  if (p.many_deletes) count = 400;
  const bool padded = p.many_deletes || r.chance(250);
  for (std::size_t i = 0; i < count; ++i) {
    std::string key = "key" + std::to_string(i);
    if (padded) key.resize(long_key, '.');
    p.keys.push_back(std::move(key));
  }
}

void draw_network(world& w, plan& p) {
  prng& r = w.random;
  network_options& n = p.network;
  n.latency_max = r.chance(800) ? 3 * milli : w.between(1 * milli, 40 * milli);
  // Small buffers where packets are quick only: a frame must get through within the dead time.
  const bool small = n.latency_max <= 3 * milli && r.chance(400);
  n.kernel_buffer = small ? std::size_t{2048} << r.below(5) : std::size_t{96} << 10;
  // Slow, but not so slow that a ping waits for the dead time behind what is on the way.
  if (r.chance(200)) n.bytes_per_second = 2'000'000 + 1'000'000 * r.below(8);
}

machine_config draw_machine(world& w, const plan& p, host_id id) {
  prng& r = w.random;
  machine_config c;
  c.name = std::string(1, static_cast<char>('A' + id));
  c.id = id;
  // B always knows A; A may know B, may be B's passive master.
  if (id == 1 || (id == 0 && r.chance(500))) c.peer = 1 - id;
  c.store.shards = p.tight || p.many_deletes ? 1 : std::size_t{1} << r.below(3);
  c.store.memory_bytes = std::size_t{p.tight || p.many_deletes ? 1U : 32U} << 20;
  c.store.journal_bytes = c.store.shards * (std::size_t{16} << 10) << r.below(5);
  if (r.chance(500)) c.node.node_id = id;
  c.node.heartbeat_interval = milliseconds(w.between(50, 200));
  c.node.dead_after = milliseconds(w.between(500, 1500));
  c.node.join_timeout = milliseconds(w.between(500, 3000));
  c.node.batch_interval = milliseconds(w.between(0, 5));
  c.node.frame_bytes = std::size_t{64} << r.below(11);
  c.node.window_bytes = std::size_t{1024} << r.below(13);
  c.node.unsent_bytes = std::size_t{4096} << r.below(7);
  c.node.handover_timeout = milliseconds(w.between(100, 2000));
  c.node.hooks.pre_promote = r.chance(200);
  c.node.ack = p.ack;
  c.node.ack_timeout = p.ack_timeout;
  if (p.writes_at_master) c.node.writes = replication::writes_mode::master;
  if (r.chance(400))
    c.node.compression =
        r.chance(500) ? replication::compression::lz4 : replication::compression::zstd;
  // Not so slow that it could not be done in time.
  if (r.chance(200)) c.node.sync_rate = std::size_t{100'000} << r.below(6);
  c.clock_offset = w.between(-p.clock_apart, p.clock_apart);
  c.drift_per_million = static_cast<int>(w.between(-500, 500));
  return c;
}

void draw_modes(world& w, plan& p) {
  using replication::ack_mode;
  prng& r = w.random;
  const auto roll = r.below(100);
  p.ack = roll < 50 ? ack_mode::async : roll < 65 ? ack_mode::semisync : ack_mode::sync;
  p.ack_timeout = milliseconds(w.between(100, 1500));
  p.writes_at_master = r.chance(150);
}

guest draw_guest(prng& r) {
  const auto roll = r.below(100);
  if (roll < 60) return guest::none;
  if (roll < 76) return guest::replacement;
  return roll < 88 ? guest::foreigner : guest::stranger;
}

}  // namespace

plan draw_plan(world& w) {
  prng& r = w.random;
  plan p;
  p.third = draw_guest(r);
  p.tight = r.chance(250);
  p.expiry = r.chance(500);
  p.many_deletes = !p.tight && r.chance(60);
  draw_keys(w, p);
  p.value_max = p.tight ? 20'000 : 300;
  if (!p.tight && !p.many_deletes && r.chance(500)) p.large_value_max = 100'000;
  p.client_gap = w.between(1 * milli, 60 * milli);
  p.fault_gap = w.between(150 * milli, 3 * second);
  if (r.chance(400)) p.clock_apart = r.chance(500) ? 2 * second : clock_apart_max;
  // Some kinds only: what all of them together hide, a few bring out (Groce et al., "Swarm
  // Testing", 2012).
  for (unsigned kind = 0; kind < fault_kinds; ++kind)
    if (r.chance(600)) p.faults.push_back(static_cast<fault_kind>(kind));
  if (p.faults.empty()) p.faults.push_back(fault_kind::partition);
  draw_network(w, p);
  draw_modes(w, p);
  for (host_id id = 0; id < 3; ++id) p.machines[id] = draw_machine(w, p, id);
  if (p.third == guest::foreigner) p.machines[2].node.cluster = "another";
  return p;
}

std::string describe(const plan& p) {
  static constexpr const char* guests[] = {"none", "replacement", "foreigner", "stranger"};
  return "a run with third machine: " + std::string(guests[static_cast<int>(p.third)]) +
         (p.tight ? ", tight memory" : "") + (p.many_deletes ? ", many deletes" : "") +
         (p.expiry ? ", expiry and flush" : "") +
         (p.writes_at_master ? ", writes at the master" : "") + ", ack " +
         std::string(replication::to_string(p.ack)) + ", " + std::to_string(p.keys.size()) +
         " keys, clocks " + std::to_string(p.clock_apart / second) + " s off at most";
}

}  // namespace tandem::sim
