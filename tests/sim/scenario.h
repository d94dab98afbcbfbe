// One run: a pair, perhaps a third machine, their clients and their bad luck, all drawn from one
// seed. A safety phase in which anything may happen at any moment; then a liveness phase in which
// everything heals and the pair must come to rest in the right state.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tests/sim/machine.h"
#include "tests/sim/network.h"
#include "tests/sim/oracle.h"
#include "tests/sim/plan.h"
#include "tests/sim/world.h"

namespace tandem::sim {

struct outcome {
  bool ok = true;
  std::string violation;  // what did not hold
  std::uint64_t trace_hash = 0;
  std::uint64_t events = 0;
  std::uint64_t writes = 0;
  std::uint64_t promised = 0;  // replies to them that waited until both nodes had them
  std::uint64_t faults = 0;
  std::uint64_t overruns = 0;  // of journals
  std::uint64_t evictions = 0;
  std::uint64_t resumes = 0;  // of sessions from the journals
  micros to_rest = 0;         // from healing until the pair was at rest
};

outcome run_scenario(std::uint64_t seed, bool trace);

class scenario {
 public:
  scenario(std::uint64_t seed, bool trace);
  // Throws a violation.
  void run();
  outcome result() const;

 private:
  void start_all();
  void heal_all();
  void wait_for_rest();
  void check_all();

  // --- clients (scenario_clients.cc) ---------------------------------------------------------
  void client();
  void write(machine& m, std::size_t key);
  void remove(machine& m, std::size_t key, service::store& s, instant now);
  void touch(machine& m, std::size_t key, service::store& s, instant now);
  void swap(machine& m, std::size_t key, service::store& s, instant now);
  void put(machine& m, std::size_t key, service::store& s, instant now);
  std::uint32_t draw_exptime(instant now);
  // The key's shard is locked and was just changed: its client gets its reply.
  void reply(machine& m, std::size_t key, const service::store::locked& shard);

  // --- bad luck (scenario_faults.cc) ---------------------------------------------------------
  void fault();
  void break_network(fault_kind kind, micros how_long);
  void break_machine(fault_kind kind, machine& m, micros how_long);
  void partition(micros how_long);
  void crash(machine& m, bool reset);
  void restart(machine& m);
  void guest_arrives();
  void replace(machine& dead);

  machine& any() { return *machines_[members_[world_.random.below(2)]]; }
  machine& member(unsigned i) { return *machines_[members_[i]]; }
  machine& other_than(const machine& m) { return member(m.config().id == members_[0] ? 1 : 0); }
  // The foreigner's data is no business of the pair.
  bool counts(const machine& m) const {
    return m.config().id != guest_id || plan_.third != guest::foreigner;
  }

  static constexpr host_id guest_id = 2;

  world world_;
  const plan plan_;
  network network_;
  oracle oracle_;
  std::unique_ptr<machine> machines_[3];
  host_id members_[2] = {0, 1};  // who the pair is
  bool quiet_ = false;           // clients and faults have ended
  bool dead_for_good_ = false;   // one was replaced
  outcome outcome_;
};

}  // namespace tandem::sim
