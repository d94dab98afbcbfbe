// tandem_sim: runs the pair under many seeds, or one again with its trace.
//
//   tandem_sim [--seeds A..B | --seeds N] [--jobs J] [--stop]
//       the seeds from A to B (or from 1 to N; default 500), then those that once failed
//       (tests/sim/seeds.txt); J at a time (default 1); --stop: not beyond the first that fails
//   tandem_sim --seed S [--trace]
//       one seed, twice, with its trace the first time
//
// Some seeds are run twice and must give the same trace. A failing seed is printed with the command
// that replays it, also where the program under test gives itself up (CHECK).
#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/sim/scenario.h"

namespace {

using tandem::sim::outcome;
using tandem::sim::run_scenario;

constexpr std::uint64_t run_twice_every = 16;  // seeds; determinism is checked on these

struct totals {
  std::uint64_t seeds = 0, failed = 0, events = 0, writes = 0, promised = 0, faults = 0,
                overruns = 0, resumes = 0, evictions = 0;
  tandem::sim::micros slowest_rest = 0;

  void add(const outcome& o) {
    ++seeds;
    failed += o.ok ? 0 : 1;
    events += o.events;
    writes += o.writes;
    promised += o.promised;
    faults += o.faults;
    overruns += o.overruns;
    resumes += o.resumes;
    evictions += o.evictions;
    slowest_rest = std::max(slowest_rest, o.to_rest);
  }
};

thread_local std::uint64_t seed_under_way = 0;

void report(std::uint64_t seed, const char* what) {
  std::printf("FAILED seed %llu: %s\n  replay: tandem_sim --seed %llu --trace\n",
              static_cast<unsigned long long>(seed), what, static_cast<unsigned long long>(seed));
  std::fflush(stdout);
}

void on_abort(int) {
  report(seed_under_way, "the program gave itself up");
  std::_Exit(1);
}

outcome try_seed(std::uint64_t seed, bool trace, bool twice) {
  seed_under_way = seed;
  outcome o = run_scenario(seed, trace);
  if (!twice || !o.ok) return o;
  const outcome again = run_scenario(seed, false);
  if (again.trace_hash == o.trace_hash && again.events == o.events) return o;
  o.ok = false;
  o.violation = "two runs of one seed differ";
  return o;
}

std::vector<std::uint64_t> remembered_seeds() {
  std::vector<std::uint64_t> seeds;
  std::ifstream file(MEMTANDEM_SOURCE_DIR "/tests/sim/seeds.txt");
  for (std::string line; std::getline(file, line);)
    if (!line.empty() && line[0] != '#') seeds.push_back(std::strtoull(line.c_str(), nullptr, 10));
  return seeds;
}

// "A..B" or "N"; the seeds of it, A above B if it is neither.
std::pair<std::uint64_t, std::uint64_t> range_of(const std::string& text) {
  const auto dots = text.find("..");
  try {
    if (dots == std::string::npos) return {1, std::stoull(text)};
    return {std::stoull(text.substr(0, dots)), std::stoull(text.substr(dots + 2))};
  } catch (const std::exception&) {
    return {1, 0};
  }
}

totals run_all(const std::vector<std::uint64_t>& seeds, unsigned jobs, bool stop) {
  totals sum;
  std::mutex mutex;
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < seeds.size(); i = next++) {
      const outcome o = try_seed(seeds[i], false, seeds[i] % run_twice_every == 0);
      const std::lock_guard guard(mutex);
      if (stop && sum.failed != 0) return;
      sum.add(o);
      if (!o.ok) report(seeds[i], o.violation.c_str());
    }
  };
  std::vector<std::thread> others;
  for (unsigned i = 1; i < jobs; ++i) others.emplace_back(work);
  work();
  for (std::thread& t : others) t.join();
  return sum;
}

void print(const totals& sum, double seconds) {
  const auto n = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "%llu seeds, %llu failed: %llu events, %llu writes, %llu promised, %llu faults, %llu journal "
      "overruns, "
      "%llu resumed sessions, %llu evictions; the slowest was at rest %.1f s after healing\n"
      "%.1f s, %.0f seeds/s\n",
      n(sum.seeds), n(sum.failed), n(sum.events), n(sum.writes), n(sum.promised), n(sum.faults),
      n(sum.overruns), n(sum.resumes), n(sum.evictions),
      static_cast<double>(sum.slowest_rest) / tandem::sim::second, seconds,
      static_cast<double>(sum.seeds) / seconds);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs the pair in a simulated world, one run for each seed.");
  std::string seeds = "500";
  std::uint64_t one = 0;
  unsigned jobs = 1;
  bool trace = false, stop = false;
  app.add_option("--seeds", seeds, "A..B, or N for 1..N")->capture_default_str();
  app.add_option("--seed", one, "run this one only");
  app.add_option("--jobs", jobs, "seeds at a time")->check(CLI::Range(1U, 256U));
  app.add_flag("--trace", trace, "print what happens (with --seed)");
  app.add_flag("--stop", stop, "end at the first seed that fails");
  CLI11_PARSE(app, argc, argv);
  const auto [first, last] = range_of(seeds);
  if (first > last) {
    std::fprintf(stderr, "--seeds: expected A..B or N, got %s\n", seeds.c_str());
    return 2;
  }
  std::signal(SIGABRT, on_abort);

  const auto begin = std::chrono::steady_clock::now();
  totals sum;
  if (one != 0) {
    const outcome o = try_seed(one, trace, true);
    sum.add(o);
    if (!o.ok) report(one, o.violation.c_str());
  } else {
    std::vector<std::uint64_t> all;
    for (std::uint64_t s = first; s <= last; ++s) all.push_back(s);
    const auto remembered = remembered_seeds();
    all.insert(all.end(), remembered.begin(), remembered.end());
    sum = run_all(all, jobs, stop);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  print(sum, took.count());
  return sum.failed == 0 ? 0 : 1;
}
