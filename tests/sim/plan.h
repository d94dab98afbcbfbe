// What a run is made of, drawn from its seed before anything happens: who takes part, what clients
// do, how the machines and the network are, and which faults there are. Every knob that makes a
// rare state common is here: modes of replying and of writing, compression, slow scans, tiny
// journals, windows, frames and kernel buffers, memory for a part of the values only, more
// tombstones than may be kept, acknowledgements held back.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/machine.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"

namespace tandem::sim {

// The third machine.
enum class guest : std::uint8_t {
  none,
  replacement,  // one of the pair dies for good and an empty machine takes its place
  foreigner,    // of another cluster, with data of its own: nothing of it may be seen here
  stranger,     // of this cluster, with data of its own, for a while
};

enum class fault_kind : std::uint8_t {
  partition,      // both ways, or one
  hold_flows,     // the connections there are carry nothing for a while; new ones work
  reset,          // each end is told at another time
  crash,          // the peer is told
  vanish,         // the peer is not
  crash_in_step,  // between two effects of one step
  pause,          // a stopped process
  clock_step,
  drift,
  withhold_acks,
  operators,  // move the mastership about
};
constexpr unsigned fault_kinds = 11;

struct plan {
  guest third = guest::none;
  bool tight = false;         // memory for a part of the values only
  bool expiry = false;        // clients use expiry times and flush_all
  bool many_deletes = false;  // more tombstones than memory may be used for
  replication::ack_mode ack = replication::ack_mode::async;
  std::chrono::milliseconds ack_timeout{1000};
  bool writes_at_master = false;  // clients' changes are executed by a master only
  std::vector<std::string> keys;
  std::size_t value_max = 300;      // bytes, usually
  std::size_t large_value_max = 0;  // bytes, sometimes; 0: never
  micros client_gap = 0;            // between commands, about
  micros fault_gap = 0;
  micros clock_apart = 0;  // a machine's clock is off by this at most
  micros clock_step_max() const { return std::max(clock_apart, 2 * second); }
  std::vector<fault_kind> faults;  // those that happen; at least one
  network_options network;
  machine_config machines[3];
};

plan draw_plan(world& w);

// For the first line of a trace.
std::string describe(const plan& p);

}  // namespace tandem::sim
