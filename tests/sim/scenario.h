// One run: a pair, its clients and its bad luck, all drawn from one seed. A safety phase in which
// anything may happen at any moment; then a liveness phase in which everything heals and the pair
// must come to rest in the right state.
#pragma once

#include <cstdint>
#include <string>

namespace tandem::sim {

struct outcome {
  bool ok = true;
  std::string violation;    // what did not hold
  bool repeatable = false;  // must run the same way again (malloc decides what a tight one evicts)
  std::uint64_t trace_hash = 0;
  std::uint64_t events = 0;
  std::uint64_t writes = 0;
  std::uint64_t faults = 0;
  std::uint64_t overruns = 0;  // of journals, among the nodes alive at the end
  std::uint64_t evictions = 0;
};

outcome run_scenario(std::uint64_t seed, bool trace);

}  // namespace tandem::sim
