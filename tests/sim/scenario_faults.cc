// What goes wrong in a run.
#include <algorithm>
#include <iterator>

#include "tests/sim/scenario.h"

namespace tandem::sim {

void scenario::fault() {
  if (quiet_) return;
  ++outcome_.faults;
  prng& r = world_.random;
  const micros how_long = r.chance(300) ? world_.between(1 * second, 6 * second)
                                        : world_.between(1 * milli, 900 * milli);
  const fault_kind kind = plan_.faults[r.below(plan_.faults.size())];
  if (kind <= fault_kind::reset)
    break_network(kind, how_long);
  else
    break_machine(kind, any(), how_long);
  world_.after(world_.between(1, 2 * plan_.fault_gap), [this] { fault(); });
}

void scenario::break_network(fault_kind kind, micros how_long) {
  if (kind == fault_kind::partition) {
    partition(how_long);
  } else if (kind == fault_kind::hold_flows) {
    world_.say("connections carry nothing");
    network_.hold_flows(how_long);
  } else {
    world_.say("resets");
    network_.reset_all();
  }
}

void scenario::partition(micros how_long) {
  const host_id from = members_[world_.random.below(2)];
  const host_id to = from == members_[0] ? members_[1] : members_[0];
  const bool both = world_.random.chance(600);
  world_.say(both ? "partition" : "one-way partition from " + std::to_string(from));
  network_.block(from, to, true);
  if (both) network_.block(to, from, true);
  world_.after(how_long, [this, from, to, both] {
    network_.block(from, to, false);
    if (both) network_.block(to, from, false);
  });
}

void scenario::break_machine(fault_kind kind, machine& m, micros how_long) {
  prng& r = world_.random;
  switch (kind) {
    case fault_kind::crash:
      crash(m, true);
      break;
    case fault_kind::vanish:
      crash(m, false);
      break;
    case fault_kind::crash_in_step:
      m.doom(1 + static_cast<unsigned>(r.below(30)), [this, &m] { crash(m, true); });
      break;
    case fault_kind::pause:
      m.pause();
      world_.after(how_long, [&m] { m.resume(); });
      break;
    case fault_kind::clock_step: {
      const micros apart = plan_.clock_step_max();
      oracle_.clock_is_set(m);
      m.set_clock(world_.between(-apart, apart));
      world_.say(m.config().name + "'s clock is set");
      break;
    }
    case fault_kind::drift:
      m.set_drift(static_cast<int>(world_.between(-500, 500)));
      break;
    case fault_kind::withhold_acks:
      m.withhold_acks(true);
      world_.after(how_long, [&m] { m.withhold_acks(false); });
      break;
    case fault_kind::operators: {
      static constexpr const char* orders[] = {"switchover", "promote",  "demote",
                                               "switchover", "alone on", "alone off"};
      m.order(orders[r.below(std::size(orders))]);
      break;
    }
    default:
      break;
  }
}

void scenario::crash(machine& m, bool reset) {
  if (!m.up()) return;
  machine& other = other_than(m);
  if (other.up()) oracle_.check_lag(m, other);
  if (other.up() && counts(other)) oracle_.look(other);  // it has what clients were promised
  const auto s = m.status();
  outcome_.overruns += s.journal_overruns;
  outcome_.resumes += s.resumes_sent;
  m.crash(reset);
  oracle_.forget(m);
  world_.after(world_.between(10 * milli, 3 * second), [this, &m] { restart(m); });
}

void scenario::restart(machine& m) {
  if (m.up() || quiet_) return;
  const bool belongs = m.config().id == members_[0] || m.config().id == members_[1];
  if (!belongs) return;  // it was replaced
  // An old master may come back with other flags than it had, as long as someone dials.
  if (m.config().id == 0 && !dead_for_good_ && world_.random.chance(500)) {
    if (m.config().peer)
      m.config().peer.reset();
    else
      m.config().peer = 1;
  }
  const bool with_data = !world_.random.chance(250);
  m.start(with_data);
  if (with_data) return;
  world_.after(world_.between(10 * milli, 3 * second), [this, &m] {
    if (quiet_ || !m.without_data()) return;
    m.crash(true);
    oracle_.forget(m);
    m.start();
  });
}

// --- the third machine ---------------------------------------------------------------------------

void scenario::guest_arrives() {
  if (quiet_) return;
  machine& third = *machines_[guest_id];
  if (plan_.third == guest::replacement) {
    replace(any());
    return;
  }
  // It comes with data of its own: alone at first, then it finds one of the pair.
  third.config().peer = members_[world_.random.below(2)];
  const host_id knows = *third.config().peer;
  network_.block(guest_id, knows, true);
  third.start();
  world_.after(world_.between(0, 4 * second),
               [this, knows] { network_.block(guest_id, knows, false); });
  if (plan_.third == guest::foreigner) return;
  world_.after(world_.between(2 * second, 8 * second), [this, &third] {
    if (quiet_ || !third.up()) return;
    third.crash(world_.random.chance(500));
    oracle_.forget(third);
  });
}

void scenario::replace(machine& dead) {
  world_.say(dead.config().name + " is gone for good");
  const host_id stays = other_than(dead).config().id;
  dead_for_good_ = true;
  if (dead.up()) {
    crash(dead, world_.random.chance(500));
  }
  for (host_id& id : members_)
    if (id == dead.config().id) id = guest_id;
  machines_[guest_id]->config().peer = stays;
  world_.after(world_.between(10 * milli, 2 * second), [this] {
    machine& third = *machines_[guest_id];
    if (!third.up() && !quiet_) third.start();
  });
}

}  // namespace tandem::sim
