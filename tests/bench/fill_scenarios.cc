// The scenarios of fill_modes.h.
#include <cinttypes>
#include <cstdio>
#include <deque>
#include <thread>
#include <vector>

#include "tests/bench/fill_modes.h"

namespace tandem::bench {

namespace {

constexpr std::uint64_t value_size_max = 900'000;

class scenario {
 public:
  scenario(client& server, const fill_options& given)
      : server_(server),
        random_(given.seed),
        writer_(server, 2 * value_size_max),
        at_start_(read_state(server)) {}

  const server_state& at_start() const { return at_start_; }

  void mixed() {
    write(3, {10, 300'000});
    write(2, {10, 200});
    write(2, {100'000, value_size_max});
    write(2, {10, 300'000});
  }

  void overwrite() {
    constexpr size_range sizes{50, 2000};
    std::vector<std::uint64_t> size_of;  // by id - first
    const std::uint64_t first = next_id_;
    const auto set_new = [&] {
      size_of.push_back(sizes.draw(random_));
      writer_.set(next_id_++, size_of.back(), 0);
    };
    const std::uint64_t full = writer_.bytes() + at_start_.limit_bytes * 12 / 10;
    while (writer_.bytes() < full) set_new();
    const std::uint64_t newest = size_of.size() / 2;  // these the cache still holds
    for (std::uint64_t left = 4 * size_of.size(); left > 0; --left) {
      if (random_.below(2) == 0) {
        set_new();
        continue;
      }
      const std::uint64_t which = size_of.size() - 1 - random_.below(newest);
      const std::uint64_t size = size_of[which];
      writer_.set(first + which, size - size / 2 + random_.below(size + 1), 0);
    }
    writer_.sync();
  }

  void ttl() {
    for (unsigned wave = 0; wave < waves; ++wave) {
      write(1.2, sizes_of_wave(wave), [this] {
        return random_.below(10) == 0 ? 0U : static_cast<std::uint32_t>(1 + random_.below(2));
      });
      // All expired: two seconds, and one for the server's clock.
      std::this_thread::sleep_for(std::chrono::seconds(3));
    }
  }

  void flush() {
    for (unsigned wave = 0; wave < waves; ++wave) {
      write(1.3, sizes_of_wave(wave));
      server_.out() += "flush_all\r\n";
      server_.flush();
      if (const auto got = server_.line(); got != "OK") give_up("flush_all: " + std::string(got));
    }
    write(1.3, {10, 300'000});
  }

 private:
  static constexpr unsigned waves = 5;

  static size_range sizes_of_wave(unsigned wave) {
    constexpr size_range by_wave[] = {{100, 100}, {1000, 4000}, {10, 50}, {10, 300'000}};
    return by_wave[wave % std::size(by_wave)];
  }

  // New items until they are `times` the limit.
  template <class Exptime>
  void write(double times, size_range sizes, const Exptime& exptime) {
    const std::uint64_t largest = at_start_.limit_bytes / 8;
    sizes.max = std::min(sizes.max, largest);
    sizes.min = std::min(sizes.min, largest);
    const std::uint64_t end =
        writer_.bytes() +
        static_cast<std::uint64_t>(times * static_cast<double>(at_start_.limit_bytes));
    while (writer_.bytes() < end) writer_.set(next_id_++, sizes.draw(random_), exptime());
    writer_.sync();
  }
  void write(double times, size_range sizes) {
    write(times, sizes, [] { return 0U; });
  }

  client& server_;
  prng random_;
  set_writer writer_;
  const server_state at_start_;
  std::uint64_t next_id_ = 0;
};

}  // namespace

int run_scenario(client& server, const fill_options& given) {
  const auto start = std::chrono::steady_clock::now();
  scenario running(server, given);
  resident_watch watch(running.at_start().pid);
  if (given.scenario == "mixed") running.mixed();
  if (given.scenario == "overwrite") running.overwrite();
  if (given.scenario == "ttl") running.ttl();
  if (given.scenario == "flush") running.flush();
  const server_state state = read_state(server);
  const std::uint64_t most = watch.max_bytes();
  std::printf("scenario=%s limit_bytes=%" PRIu64 " max_resident_bytes=%" PRIu64
              " over_limit_bytes=%" PRId64 " samples=%" PRIu64 " held=%" PRIu64
              " evictions=%" PRIu64 " no_memory=%" PRIu64 " too_large=%" PRIu64 " seconds=%.2f\n",
              given.scenario.c_str(), state.limit_bytes, most,
              static_cast<std::int64_t>(most - state.limit_bytes), watch.samples(), state.items,
              state.evictions, state.no_memory, state.too_large, seconds_since(start));
  return 0;
}

}  // namespace tandem::bench
