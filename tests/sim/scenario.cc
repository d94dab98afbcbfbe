#include "tests/sim/scenario.h"

#include <algorithm>

namespace tandem::sim {

namespace {
constexpr micros safety_phase = 15 * second;
constexpr micros rest_limit = 180 * second;
constexpr micros check_every = 250 * milli;
constexpr micros longest_life = 6 * second;  // of a value with an expiry time
}  // namespace

scenario::scenario(std::uint64_t seed, bool trace)
    : world_(seed, trace),
      plan_(draw_plan(world_)),
      network_(world_, plan_.network),
      oracle_(world_, plan_.keys,
              {plan_.tight || plan_.many_deletes, plan_.third == guest::stranger}) {
  for (host_id id = 0; id < 3; ++id)
    machines_[id] = std::make_unique<machine>(
        world_, network_, plan_.machines[id],
        [this](machine& m) {
          if (counts(m)) oracle_.look(m);
          oracle_.look_at_roles(member(0), member(1));
        },
        [this](machine& m, host_id other) { oracle_.met(m, *machines_[other]); });
  world_.say(describe(plan_));
}

// --- the phases ----------------------------------------------------------------------------------

void scenario::start_all() {
  member(world_.random.chance(500) ? 1 : 0).start();
  world_.after(world_.random.chance(500) ? 0 : world_.between(0, 4 * second), [this] {
    for (unsigned i = 0; i < 2; ++i)
      if (!member(i).up() && !quiet_) member(i).start();
  });
  if (plan_.third != guest::none)
    world_.after(world_.between(2 * second, safety_phase - 4 * second),
                 [this] { guest_arrives(); });
  world_.after(10 * milli, [this] { client(); });
  world_.after(plan_.fault_gap, [this] { fault(); });
  world_.after(check_every, [this] { check_all(); });
}

void scenario::check_all() {
  if (quiet_) return;
  machine& m = any();
  machine& other = other_than(m);
  if (m.up() && other.up()) oracle_.check_lag(m, other);
  world_.after(check_every, [this] { check_all(); });
}

void scenario::heal_all() {
  quiet_ = true;
  world_.say("everything heals");
  network_.heal();
  for (const auto& m : machines_) {
    const bool belongs = m->config().id == members_[0] || m->config().id == members_[1];
    m->withhold_acks(false);
    m->doom(0, nullptr);
    m->resume();
    if (belongs && m->without_data()) m->crash(true);
    if (belongs && !m->up()) m->start();
    // A foreigner may go on knocking.
    if (!belongs && plan_.third != guest::foreigner) m->crash(true);
  }
}

void scenario::wait_for_rest() {
  const micros healed = world_.now();
  while (!oracle::settled(member(0), member(1))) {
    if (world_.now() >= healed + rest_limit) {
      const auto describe = [](machine& m) {
        const auto s = m.status();
        return m.config().name + ": " + std::string(to_string(s.role)) +
               (s.linked ? " linked" : " alone") + (s.peer_in_sync ? " in sync" : "") + " lag " +
               std::to_string(s.lag_records) + "; ";
      };
      throw violation("liveness: not at rest: " + describe(member(0)) + describe(member(1)));
    }
    world_.run_until(world_.now() + 50 * milli);
  }
  outcome_.to_rest = world_.now() - healed;
}

void scenario::run() {
  start_all();
  world_.run_until(safety_phase);
  heal_all();
  wait_for_rest();
  oracle_.check_lag(member(0), member(1));
  oracle_.check_lag(member(1), member(0));
  // Until whatever may expire has expired, by either clock.
  const micros grace = (plan_.expiry ? longest_life : 0) + 2 * plan_.clock_step_max() + 1 * second;
  world_.run_until(world_.now() + grace);
  if (!oracle::settled(member(0), member(1))) throw violation("liveness: did not stay at rest");
  oracle_.check_rest(member(0), member(1));
  // What the network holds back for a node is the node's memory.
  std::size_t most = 0;
  for (const auto& m : machines_)
    most = std::max(most, m->config().node.unsent_bytes + 3 * m->config().node.frame_bytes);
  constexpr std::size_t largest_chunks = 256 << 10;
  if (network_.waiting_bytes_max() > most + largest_chunks)
    throw violation("P5: " + std::to_string(network_.waiting_bytes_max()) +
                    " bytes waited to be sent");
}

outcome scenario::result() const {
  outcome o = outcome_;
  o.trace_hash = world_.trace_hash();
  o.events = world_.events();
  for (const auto& m : machines_) {
    if (!m->up()) continue;
    o.overruns += m->status().journal_overruns;
    o.resumes += m->status().resumes_sent;
    o.evictions += m->data().statistics().evictions;
  }
  return o;
}

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
