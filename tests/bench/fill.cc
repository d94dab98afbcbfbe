// Fills a server with items and tells what memory they take.
//
//   tandem_fill --port P [--host A] [--items N] [--value-size V | --value-sizes MIN:MAX]
//               [--overwrite PERCENT] [--ttl SECONDS] [--seed S]
//   tandem_fill --port P --scenario mixed|overwrite|ttl|flush [--seed S]
//   tandem_fill --port P --expiry-probe gone|usable [--ttl SECONDS] [--value-size V] [--items N]
//               [--live-percent P] [--patience SECONDS]
//
// A fill sets N distinct items (default: half as much again as the server's limit in keys and
// values) with keys of 20 bytes, --value-sizes log-uniform; that share of the sets, --overwrite, is
// of an item set before, with another size. It waits until resident memory is still, and prints a
// line of name=value:
//   items (set) held (by `stats`) found (read back) wrong (values) item_bytes limit_bytes evictions
//   resident_bytes resident_per_item (through held) over_limit_bytes (the most resident memory
//   there was, less the limit; may be negative) seconds
// The other modes are described in fill_modes.h. The server runs on this machine: its resident
// memory is VmRSS in /proc. Exit status: 0, 1 wrong values, 2 usage or no connection.
#include <CLI/CLI.hpp>

#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>

#include "tests/bench/fill_modes.h"

namespace {

using namespace tandem;         // NOLINT(google-build-using-namespace)
using namespace tandem::bench;  // NOLINT(google-build-using-namespace)

// The server's resident memory once it has been the same for a while: hash tables grow and threads
// tidy up beside the last requests.
std::uint64_t settled_resident(std::uint64_t pid) {
  constexpr int same_wanted = 10, looks_max = 200;
  std::uint64_t resident = process_bytes(pid, "VmRSS");
  for (int same = 0, looks = 0; same < same_wanted && looks < looks_max; ++looks) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const std::uint64_t now = process_bytes(pid, "VmRSS");
    same = now == resident ? same + 1 : 0;
    resident = now;
  }
  return resident;
}

void write_items(client& server, const fill_options& given, std::uint64_t items) {
  prng random(given.seed);
  set_writer writer(server, given.sizes.max);
  for (std::uint64_t id = 0; id < items;) {
    if (id > 0 && random.below(100) < given.overwrite_percent)
      writer.set(random.below(id), given.sizes.draw(random), given.ttl);
    else
      writer.set(id++, given.sizes.draw(random), given.ttl);
  }
  writer.sync();
}

int fill(client& server, const fill_options& given) {
  const server_state before = read_state(server);
  const std::uint64_t items = given.items != 0 ? given.items : items_for(before, given.sizes, 1.5);
  const auto start = std::chrono::steady_clock::now();
  resident_watch watch(before.pid);
  write_items(server, given, items);
  const double seconds = seconds_since(start);
  const std::uint64_t resident = settled_resident(before.pid);
  const std::uint64_t most = watch.max_bytes();
  const server_state after = read_state(server);
  const read_result read = read_back(server, 0, items);
  std::printf("items=%" PRIu64 " held=%" PRIu64 " found=%" PRIu64 " wrong=%" PRIu64
              " item_bytes=%" PRIu64 " limit_bytes=%" PRIu64 " evictions=%" PRIu64
              " resident_bytes=%" PRIu64 " resident_per_item=%.1f over_limit_bytes=%" PRId64
              " seconds=%.2f\n",
              items, after.items, read.held, read.wrong, after.item_bytes, after.limit_bytes,
              after.evictions, resident,
              static_cast<double>(resident) / static_cast<double>(std::max(after.items, 1UL)),
              static_cast<std::int64_t>(most - after.limit_bytes), seconds);
  return read.wrong == 0 ? 0 : 1;
}

size_range parse_sizes(const std::string& text) {
  size_range range;
  char rest = 0;
  if (std::sscanf(text.c_str(), "%" SCNu64 ":%" SCNu64 "%c", &range.min, &range.max, &rest) != 2 ||
      range.min == 0 || range.max < range.min)
    throw CLI::ValidationError("--value-sizes", "wants MIN:MAX, not " + text);
  return range;
}

struct arguments {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  fill_options fill;
};

arguments parse(int argc, char** argv) {
  arguments given;
  fill_options& to = given.fill;
  std::string sizes;
  std::uint64_t size = 100;
  CLI::App app("Fills a memcached server with items and tells what memory they take.");
  app.add_option("--port", given.port, "of the server")->required();
  app.add_option("--host", given.host, "of the server, an IPv4 address");
  app.add_option("--items", to.items, "how many");
  app.add_option("--value-size", size, "in bytes")->check(CLI::PositiveNumber);
  app.add_option("--value-sizes", sizes, "MIN:MAX in bytes")->excludes("--value-size");
  app.add_option("--overwrite", to.overwrite_percent, "percent of the sets")
      ->check(CLI::Range(0U, 99U));
  app.add_option("--ttl", to.ttl, "in seconds")->check(CLI::Range(0U, 86400U * 30));
  app.add_option("--scenario", to.scenario)
      ->check(CLI::IsMember({"mixed", "overwrite", "ttl", "flush"}));
  app.add_option("--expiry-probe", to.probe)->check(CLI::IsMember({"gone", "usable"}));
  app.add_option("--live-percent", to.live_percent, "of the limit, what --expiry-probe writes");
  app.add_option("--patience", to.patience_seconds, "of --expiry-probe, after the expiry");
  app.add_option("--seed", to.seed);
  try {
    app.parse(argc, argv);
    to.sizes = sizes.empty() ? size_range{size, size} : parse_sizes(sizes);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  return given;
}

int run(const arguments& given) {
  client server(given.host, given.port);
  if (!given.fill.scenario.empty()) return run_scenario(server, given.fill);
  if (!given.fill.probe.empty()) return probe_expiry(server, given.fill);
  return fill(server, given.fill);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
