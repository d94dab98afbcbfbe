// A connection fed with anything. The first byte seeds how the rest is cut into reads and how the
// replies are taken; the rest is what the client sends: once as it is, and once as a spelling, each
// byte a word of the protocol. However it is cut, the replies must be the same bytes as when it
// comes as one, buffers must stay bounded, every loop must end, and a peer that is told what was
// journaled must hold the same items.
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
  bool closes = false;
  bool operator==(const outcome&) const = default;
};

// The words of a spelling. Together they make commands that work more often than chance would.
constexpr std::string_view words[] = {
    "mg ",      "mg k",    "ms ",       "ms k",     "ms k 2 ", "md ",      "md k",      "ma ",
    "ma k",     "me k",    "mn",        "\r\n",     "\r\n",    "\n",       "ab\r\n",    "10\r\n",
    " ",        "k",       "l",         "a0k=",     " v",      " k",       " t",        " c",
    " f",       " s",      " h",        " l",       " q",      " b",       " u",        " x",
    " I",       " T9",     " T-1",      " N30",     " R60",    " E5",      " E",        " C5",
    " C",       " ME",     " MA",       " MP",      " MR",     " MS",      " MD",       " M-",
    " D3",      " J7",     " F9",       " Oop",     " T",      "0",        "5",         "2",
    "set k",    " 0 0 2",  "get k",     "gets k",   "cas k",   "incr k 1", "touch k 5", "delete k",
    "append k", "gat 9 k", "flush_all", " noreply",
};

std::string spelled(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += words[static_cast<unsigned char>(c) % std::size(words)];
  return text;
}

// `random` null: everything at once, as far as the connection takes it.
class run {
 public:
  run(std::string_view bytes, prng* random)
      : data_(options()),
        connection_(data_, host_.statistics, host_, limits_for(bytes)),
        random_(random) {
    data_.set_node_id(1, noon);
    begin_ = data_.start_journal(0);
    outcome_ = feed(bytes);
  }

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
    tell_peer();
    return {std::move(replies_), connection_.wants_close()};
  }

  // What the journal names, as it would travel. Where something was evicted, refused or has fallen
  // out of the journal, the two may differ.
  void tell_peer() {
    if (data_.journal_begin(0) != begin_) return;
    struct parcel {
      std::string key, value;
      replication::record r;
    };
    std::vector<parcel> parcels;
    for (auto at = begin_; at != data_.journal_end(0);) {
      at = data_.read_journal(0, at, noon, [&](const replication::record& r) {
        parcel p{std::string(r.key), {}, r};
        while (p.value.size() < r.value_size()) p.value += r.piece_at(p.value.size());
        p.r.large.reset();
        parcels.push_back(std::move(p));
        return true;
      });
    }
    store peer(options());
    peer.set_node_id(2, noon);
    for (parcel& p : parcels) {
      p.r.key = p.key;
      p.r.value = p.value;
      if (peer.apply(p.r, noon) == replication::apply_status::no_room) return;
    }
    peer.apply_flush(data_.flush(), noon);
    const auto here = data_.statistics(), there = peer.statistics();
    if (here.evictions + there.evictions + here.out_of_memory + there.out_of_memory != 0) return;
    require(data_.digest(noon).digest == peer.digest(noon).digest, "the peer was not told all");
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
  replication::journal::position begin_;
  connection connection_;
  prng* random_;
  std::string replies_;
  outcome outcome_;
};

void try_out(std::string_view bytes, unsigned seed) {
  const outcome whole = run(bytes, nullptr).result();
  prng random(seed);
  const outcome split = run(bytes, &random).result();
  // `stats` counts reads and yields, which do depend on the cuts.
  if (bytes.find("stats") == std::string_view::npos)
    require(whole == split, "the replies depend on how the requests are cut");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  try_out(bytes, data[0]);
  try_out(spelled(bytes), data[0]);
  return 0;
}
