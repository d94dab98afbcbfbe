// The expiry probes of fill_modes.h.
#include <cinttypes>
#include <cstdio>
#include <string>
#include <thread>

#include "tests/bench/fill_modes.h"

namespace tandem::bench {

namespace {

constexpr std::uint32_t default_ttl = 20;
// Key ranges above the expiring items'. The elders take turns in two: those of one are counted
// before the expiry, which is an access, those of the other, as many, only after it.
constexpr std::uint64_t live_ids = std::uint64_t{1} << 40, asked_elder_ids = std::uint64_t{1} << 41,
                        silent_elder_ids = std::uint64_t{1} << 42;
constexpr unsigned elder_every = 5;
constexpr std::uint64_t elder_tolerance = 200;  // the two halves need not be held equally
constexpr auto poll_interval = std::chrono::milliseconds(20);

using wall = std::chrono::system_clock;

struct outcome {
  bool happened = false;
  double seconds = 0;  // after the expiry
  std::string rest;
};

class probe {
 public:
  probe(client& server, const fill_options& given) : server_(server), given_(given) {}

  int run() {
    fill();
    const std::uint64_t held = read_state(server_).items;
    const std::uint64_t elders_held = read_back(server_, asked_elder_ids, elders_).held;
    if (wall::now() > expiry_)
      give_up("filling the cache takes longer than the items live: a longer --ttl, please");
    std::this_thread::sleep_until(expiry_);
    const outcome result = given_.probe == "gone" ? until_gone(held) : until_usable(elders_held);
    std::printf("probe=%s held=%" PRIu64 " seconds=%.2f happened=%d%s\n", given_.probe.c_str(),
                held, result.happened ? result.seconds : given_.patience_seconds,
                result.happened ? 1 : 0, result.rest.c_str());
    return 0;
  }

 private:
  double since_expiry() const {
    return std::chrono::duration<double>(wall::now() - expiry_).count();
  }
  bool patient() const { return since_expiry() < given_.patience_seconds; }

  // All with the same absolute exptime, a whole second.
  void fill() {
    const auto ttl = std::chrono::seconds(given_.ttl != 0 ? given_.ttl : default_ttl);
    expiry_ = std::chrono::ceil<std::chrono::seconds>(wall::now()) + ttl;
    const auto exptime = static_cast<std::uint32_t>(wall::to_time_t(expiry_));
    const server_state state = read_state(server_);
    const std::uint64_t items =
        given_.items != 0 ? given_.items : items_for(state, given_.sizes, 1.1);
    prng random(given_.seed);
    set_writer writer(server_, given_.sizes.max);
    const bool with_elders = given_.probe == "usable";
    for (std::uint64_t id = 0; id < items; ++id) {
      if (!with_elders || id % elder_every != 0) {
        writer.set(id, given_.sizes.draw(random), exptime);
        continue;
      }
      const bool silent = id % (2 * elder_every) == 0;
      if (silent) ++elders_;
      writer.set((silent ? silent_elder_ids : asked_elder_ids) + elders_ - 1,
                 given_.sizes.draw(random), 0);
    }
    writer.sync();
  }

  outcome until_gone(std::uint64_t held) {
    while (patient()) {
      if (read_state(server_).items <= held / 100) return {true, since_expiry(), ""};
      std::this_thread::sleep_for(poll_interval);
    }
    return {};
  }

  outcome until_usable(std::uint64_t elders_held) {
    const std::size_t size = 10 * given_.sizes.max;
    const std::uint64_t wanted = read_state(server_).limit_bytes / 100 * given_.live_percent;
    const std::uint64_t elder_bytes = 2 * elders_held * (key_size + given_.sizes.max);
    if (elder_bytes >= wanted) give_up("the old live items alone are more than --live-percent");
    const std::uint64_t count = (wanted - elder_bytes) / (key_size + size);
    set_writer writer(server_, size);
    outcome result;
    std::uint64_t first_lost = 0, first_elders_lost = 0;
    unsigned rounds = 0;
    while (!result.happened && patient()) {
      result.seconds = since_expiry();
      if (rounds > 0) rewrite_elders(writer, elders_held);
      for (std::uint64_t i = 0; i < count; ++i) writer.set(live_ids + i, size, 0);
      writer.sync();
      const std::uint64_t lost = count - read_back(server_, live_ids, count).held;
      const std::uint64_t left = rounds == 0 ? read_back(server_, silent_elder_ids, elders_).held
                                             : read_newest_elders(elders_held);
      const std::uint64_t elders_lost = elders_held - std::min(left, elders_held);
      if (rounds++ == 0) {
        first_lost = lost;
        first_elders_lost = elders_lost;
      }
      result.happened = lost == 0 && elders_lost <= elders_held / elder_tolerance;
    }
    result.rest = " rounds=" + std::to_string(rounds) + " live_items=" + std::to_string(count) +
                  " first_round_lost=" + std::to_string(first_lost) +
                  " elders=" + std::to_string(elders_held) +
                  " elders_lost=" + std::to_string(first_elders_lost);
    return result;
  }

  // From the second round on the elders are the newest of each range, as many as there were.
  void rewrite_elders(set_writer& writer, std::uint64_t held) {
    for (std::uint64_t i = elders_ - held; i < elders_; ++i) {
      writer.set(asked_elder_ids + i, given_.sizes.max, 0);
      writer.set(silent_elder_ids + i, given_.sizes.max, 0);
    }
  }
  std::uint64_t read_newest_elders(std::uint64_t held) {
    return read_back(server_, silent_elder_ids + elders_ - held, held).held;
  }

  client& server_;
  const fill_options& given_;
  wall::time_point expiry_;
  std::uint64_t elders_ = 0;  // in each of the two ranges
};

}  // namespace

int probe_expiry(client& server, const fill_options& given) {
  return probe(server, given).run();
}

}  // namespace tandem::bench
