// A connection fed with anything. The first byte seeds how the rest is cut into reads and how the
// replies are taken; the rest is what the client sends. However it is cut, the replies must be the
// same bytes as when it comes as one, buffers must stay bounded and every loop must end.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/prng.h"
#include "common/service/connection.h"

namespace {

using namespace tandem;
using namespace tandem::service;

constexpr instant noon{wall_time(std::chrono::seconds(1'800'000'000)), {}};
// Who begins with this has to log in: it may be the first login.
constexpr std::string_view login_start = "set login ";

connection_limits limits_for(std::string_view bytes) {
  return {.requests_per_event = 3,
          .output_limit = 4096,
          .authenticate = bytes.starts_with(login_start)};
}

// The input buffer, replies up to the limit and one VALUE beyond it, and both buffers' slack.
constexpr std::size_t buffered_max = 160 * 1024;

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

class lone_server final : public server {
 public:
  process_facts facts() const override { return {}; }
  const std::vector<worker_statistics*>& workers() const override { return workers_; }
  std::vector<stat_row> settings() const override { return {}; }
  std::vector<stat_row> replication() const override { return {}; }
  void set_verbosity(int) override {}
  void reset_statistics() override {}
  void mutated() override { ++mutations; }
  bool authenticate(std::string_view user, std::string_view password) override {
    return user == "foo" && password == "bar";
  }

  worker_statistics statistics;
  unsigned mutations = 0;

 private:
  std::vector<worker_statistics*> workers_{&statistics};
};

struct outcome {
  std::string replies;
  bool closes;
  bool operator==(const outcome&) const = default;
};

// `random` null: everything at once, as far as the connection takes it.
class run {
 public:
  run(std::string_view bytes, prng* random)
      : data_(options()),
        connection_(data_, host_.statistics, host_, limits_for(bytes)),
        random_(random),
        outcome_(feed(bytes)) {}

  const outcome& result() const { return outcome_; }

 private:
  outcome feed(std::string_view bytes) {
    // Every turn of the owner moves bytes in, or bytes out, or executes something.
    std::size_t turns = 100 + 20 * bytes.size();
    while (!bytes.empty() && !connection_.wants_close()) {
      require(turns-- != 0, "no progress");
      if (connection_.wants_read() && below(4) != 0) bytes.remove_prefix(read(bytes));
      if (connection_.has_more()) event([&] { connection_.resume(noon); });
      if (connection_.has_output() && (below(3) != 0 || !connection_.wants_read())) take();
      require(connection_.buffered_bytes() <= buffered_max, "buffers grow");
    }
    while (connection_.has_output() || connection_.has_more()) {
      if (connection_.has_more()) event([&] { connection_.resume(noon); });
      if (connection_.has_output()) take();
    }
    return {std::move(replies_), connection_.wants_close()};
  }

  static store_options options() {
    store_options o;
    o.memory_bytes = std::size_t{8} << 20;
    o.item_size_max = std::size_t{256} << 10;
    o.journal_bytes = std::size_t{64} << 10;
    return o;
  }
  // Without a generator every choice is the one that does most.
  std::size_t below(std::size_t n) { return random_ ? random_->below(n) : n - 1; }

  template <class Action>
  void event(Action&& action) {
    const unsigned before = host_.mutations;
    action();
    require(host_.mutations <= before + 1, "mutated() more than once in an event");
  }

  std::size_t read(std::string_view bytes) {
    const std::span<char> room = connection_.prepare();
    require(!room.empty(), "wants to read nothing");
    std::size_t n = std::min(bytes.size(), room.size());
    if (random_) n = 1 + random_->below(random_->chance(500) ? std::min<std::size_t>(n, 8) : n);
    std::memcpy(room.data(), bytes.data(), n);
    event([&] { connection_.received(n, noon); });
    return n;
  }

  void take() {
    std::array<std::string_view, 3> pieces;
    const std::size_t count = connection_.output(std::span(pieces).first(1 + below(3)));
    require(count != 0 && !pieces[0].empty(), "output without bytes");
    std::string together;
    for (std::size_t i = 0; i < count; ++i) together.append(pieces[i]);
    const std::size_t n = 1 + below(together.size());
    replies_.append(together, 0, n);
    connection_.sent(n);
  }

  lone_server host_;
  store data_;
  connection connection_;
  prng* random_;
  std::string replies_;
  outcome outcome_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const outcome whole = run(bytes, nullptr).result();
  prng random(data[0]);
  const outcome split = run(bytes, &random).result();
  // `stats` counts reads and yields, which do depend on the cuts.
  if (bytes.find("stats") == std::string_view::npos)
    require(whole == split, "the replies depend on how the requests are cut");
  return 0;
}
