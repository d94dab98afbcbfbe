// tandem_sim: runs the pair under many seeds, or one again with its trace.
//
//   tandem_sim [--seeds N] [--first S]      N seeds from S on (default 500 from 1), then the seeds
//                                           that once failed (tests/sim/seeds.txt)
//   tandem_sim --seed S [--trace]           one seed
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/scenario.h"

namespace {

using tandem::sim::outcome;
using tandem::sim::run_scenario;

constexpr std::uint64_t run_twice_every = 16;  // seeds; determinism is checked on these

struct totals {
  std::uint64_t seeds = 0, failed = 0, events = 0, writes = 0, faults = 0, overruns = 0,
                evictions = 0;
};

void try_seed(std::uint64_t seed, bool trace, totals& sum) {
  outcome o = run_scenario(seed, trace);
  if (o.ok && o.repeatable && !trace && seed % run_twice_every == 0) {
    const outcome again = run_scenario(seed, false);
    if (again.trace_hash != o.trace_hash || again.events != o.events) {
      o.ok = false;
      o.violation = "two runs of one seed differ";
    }
  }
  ++sum.seeds;
  sum.events += o.events;
  sum.writes += o.writes;
  sum.faults += o.faults;
  sum.overruns += o.overruns;
  sum.evictions += o.evictions;
  if (o.ok) return;
  ++sum.failed;
  std::printf("FAILED seed %llu: %s\n  replay: tandem_sim --seed %llu --trace\n",
              static_cast<unsigned long long>(seed), o.violation.c_str(),
              static_cast<unsigned long long>(seed));
  std::fflush(stdout);
}

std::vector<std::uint64_t> remembered_seeds() {
  std::vector<std::uint64_t> seeds;
  std::ifstream file(MEMTANDEM_SOURCE_DIR "/tests/sim/seeds.txt");
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#') seeds.push_back(std::strtoull(line.c_str(), nullptr, 10));
  return seeds;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t count = 500, first = 1, one = 0;
  bool trace = false;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    const bool has_value = i + 1 < argc;
    if (arg == "--trace") {
      trace = true;
    } else if (arg == "--seeds" && has_value) {
      count = std::strtoull(argv[++i], nullptr, 10);
    } else if (arg == "--first" && has_value) {
      first = std::strtoull(argv[++i], nullptr, 10);
    } else if (arg == "--seed" && has_value) {
      one = std::strtoull(argv[++i], nullptr, 10);
    } else {
      std::fprintf(stderr, "usage: tandem_sim [--seeds N] [--first S] | --seed S [--trace]\n");
      return 2;
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  totals sum;
  if (one != 0) {
    try_seed(one, trace, sum);
  } else {
    for (std::uint64_t s = first; s < first + count; ++s) try_seed(s, false, sum);
    for (const std::uint64_t s : remembered_seeds()) try_seed(s, false, sum);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf(
      "%llu seeds, %llu failed: %llu events, %llu writes, %llu faults, %llu journal overruns, "
      "%llu evictions in %.1f s\n",
      static_cast<unsigned long long>(sum.seeds), static_cast<unsigned long long>(sum.failed),
      static_cast<unsigned long long>(sum.events), static_cast<unsigned long long>(sum.writes),
      static_cast<unsigned long long>(sum.faults), static_cast<unsigned long long>(sum.overruns),
      static_cast<unsigned long long>(sum.evictions), took.count());
  return sum.failed == 0 ? 0 : 1;
}
