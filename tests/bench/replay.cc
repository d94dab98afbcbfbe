// Replays a cache trace and prints the object miss ratio: `get`, and on a miss `set` with the
// trace's size, as one strictly sequential client would. Against a memcached-protocol server, or,
// much faster, on an engine in this process.
//
//   tandem_replay --trace FILE --port P [--host A] [--window N] [common options]
//   tandem_replay --trace FILE --engine MIB[,MIB...] [--item-size-max BYTES] [--threads-setting N]
//                 [common options]
//   common options: [--limit N] [--overwrites PERCENT] [--seed S]
//
// --overwrites: that share of the requests is a `set` of the request's id instead of a get, with a
// value whose size is uniform within +-50 % of the trace's; they do not count in the miss ratio.
// Seed and position alone determine which requests and which sizes: every server gets the same.
// This reading of the targets' row "50 % overwrites of +-50 % size" gives memcached the row's
// figures, .389 to .391 and .070 to .071; with +-50 % of key + value scarab's would be .383.
//
// --window: so many requests at most (64; 1 to 64) are under way at once. A window holds no id
// twice; its gets are sent in order, and the sets that follow from them, in order, before the next
// window. So a request sees exactly what those before it left, but that the sets of its own window
// have not evicted anything yet: at most 63 requests late. --window 1 has not even that. (The
// faster, the better memcached does: its LRU maintainer works beside it, by the clock.)
//
// Every hit is verified: its length is that of the last set the server took, its bytes are those
// made for that id and length. After a refused set nothing may be found. One line of name=value:
// requests gets misses miss_ratio overwrites refused (sets) wrong (hits) seconds; for an engine
// also memory_mib shards items used_bytes. Exit status: 0, 1 wrong values, 2 usage, no connection
// or an unreadable trace.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/service/store.h"
#include "tests/bench/client.h"
#include "tests/bench/content.h"
#include "tests/bench/trace.h"

namespace {

using namespace tandem;         // NOLINT(google-build-using-namespace)
using namespace tandem::bench;  // NOLINT(google-build-using-namespace)

constexpr unsigned window_max = 64;

struct arguments {
  std::string trace_path;
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;
  unsigned window = window_max;
  std::vector<unsigned> engine_mib;
  std::size_t item_size_max = std::size_t{1} << 20;
  unsigned threads = 4;
  std::uint64_t limit = 0;
  unsigned overwrites = 0;  // percent
  std::uint64_t seed = 1;
};

struct operation {
  std::uint32_t object;
  std::uint32_t value_size;  // to set: at once, or on a miss
  bool overwrite;
};

// The operations of a trace, and what their results are checked and counted by.
class workload {
 public:
  workload(const trace& from, const arguments& given)
      : from_(from),
        overwrites_(given.overwrites),
        random_(given.seed),
        stored_(from.ids.size()),
        values_(std::size_t{from.size_max} * 2) {}

  bool done() const { return at_ == from_.requests.size(); }
  operation next() {
    const trace_request& r = from_.requests[at_++];
    operation o{r.object, value_size_of(r.size), false};
    if (overwrites_ == 0 || random_.below(100) >= overwrites_) return o;
    o.overwrite = true;
    const auto most_off = o.value_size / 2;
    o.value_size += static_cast<std::uint32_t>(random_.below(2 * most_off + 1)) - most_off;
    return o;
  }

  std::uint64_t id(const operation& o) const { return from_.ids[o.object]; }
  key_name key(const operation& o) const { return key_name(id(o)); }
  std::string_view value(const operation& o) { return values_.make(id(o), o.value_size); }

  void hit(const operation& o, std::size_t size, std::string_view first, char last) {
    ++gets_;
    const std::uint32_t expected = stored_[o.object];
    if (size == expected && size != 0 && value_maker::ours(id(o), size, first, last)) return;
    if (wrong_++ == 0)
      std::fprintf(stderr, "wrong: %s has %zu bytes, %u were set\n",
                   std::string(key(o).view()).c_str(), size, expected);
  }
  void missed() {
    ++gets_;
    ++misses_;
  }
  void set(const operation& o, bool stored) {
    stored_[o.object] = stored ? o.value_size : 0;
    if (o.overwrite) ++overwritten_;
    if (!stored) ++refused_;
  }

  bool print(double seconds, const std::string& rest) const {
    std::printf("requests=%zu gets=%" PRIu64 " misses=%" PRIu64
                " miss_ratio=%.4f overwrites=%" PRIu64 " refused=%" PRIu64 " wrong=%" PRIu64
                " seconds=%.2f%s\n",
                at_, gets_, misses_,
                gets_ == 0 ? 0.0 : static_cast<double>(misses_) / static_cast<double>(gets_),
                overwritten_, refused_, wrong_, seconds, rest.c_str());
    std::fflush(stdout);
    return wrong_ == 0;
  }

 private:
  const trace& from_;
  const unsigned overwrites_;  // percent
  prng random_;
  std::vector<std::uint32_t> stored_;  // by object: bytes of the value last set; 0: none
  value_maker values_;
  std::size_t at_ = 0;
  std::uint64_t gets_ = 0, misses_ = 0, overwritten_ = 0, refused_ = 0, wrong_ = 0;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// ---- a server --------------------------------------------------------------------------------

class server_replay {
 public:
  server_replay(workload& work, const trace& from, const arguments& given)
      : work_(work),
        server_(given.host, given.port),
        window_size_(given.window),
        last_window_(from.ids.size()) {
    if (number_of(server_.stats(), "curr_items") != 0) give_up("the server holds items already");
  }

  void run() {
    while (!work_.done()) {
      const operation o = work_.next();
      std::uint32_t& last_window = last_window_[o.object];
      if (window_.size() == window_size_ || last_window == windows_) run_window();
      last_window = windows_;
      window_.push_back(o);
    }
    run_window();
  }

 private:
  using position = std::vector<operation>::const_iterator;

  void run_window() {
    bool in_get = false;  // gets in a row are one command: it saves the server system calls
    for (const operation& o : window_) {
      if (!o.overwrite) server_.out().append(in_get ? " " : "get ").append(work_.key(o).view());
      if (o.overwrite && in_get) server_.out() += "\r\n";
      if (o.overwrite) append_set_of(o);
      in_get = !o.overwrite;
    }
    if (in_get) server_.out() += "\r\n";
    server_.flush();
    for (position at = window_.cbegin(); at != window_.cend();) {
      if (at->overwrite)
        take_set_reply(*at++);
      else
        at = take_values(at);
    }
    for (const operation& o : missed_) append_set_of(o);
    server_.flush();
    for (const operation& o : missed_) take_set_reply(o);
    missed_.clear();
    window_.clear();
    ++windows_;
  }

  void append_set_of(const operation& o) {
    append_set(server_.out(), work_.id(o), work_.value(o), 0, false);
  }

  void take_set_reply(const operation& o) {
    const std::string_view line = server_.line();
    if (line != "STORED" && !line.starts_with("SERVER_ERROR "))
      give_up("set answered: " + std::string(line));
    work_.set(o, line == "STORED");
  }

  // The reply of the get that begins at `at`: hits in the order asked, misses left out. Returns
  // where the next command begins.
  position take_values(position at) {
    const position end =
        std::find_if(at, window_.cend(), [](const auto& o) { return o.overwrite; });
    for (std::string_view line = server_.line(); line != "END"; line = server_.line()) {
      if (!line.starts_with("VALUE ")) give_up("get answered: " + std::string(line));
      for (; at != end && line.substr(6, key_size) != work_.key(*at).view(); ++at) missed(*at);
      if (at == end) give_up("get answered what was not asked: " + std::string(line));
      take_value(*at++, line);
    }
    for (; at != end; ++at) missed(*at);
    return end;
  }

  void take_value(const operation& o, std::string_view line) {
    std::size_t size = 0;
    std::from_chars(line.data() + line.rfind(' ') + 1, line.data() + line.size(), size);
    const std::string_view value = server_.exactly(size + 2);
    if (value.substr(size) != "\r\n") give_up("a value without its end");
    work_.hit(o, size, value.substr(0, size), size == 0 ? '\0' : value[size - 1]);
  }

  void missed(const operation& o) {
    work_.missed();
    missed_.push_back(o);
  }

  workload& work_;
  client server_;
  const unsigned window_size_;
  std::vector<operation> window_, missed_;
  std::vector<std::uint32_t> last_window_;  // by object: the number of the last window it was in
  std::uint32_t windows_ = 1;
};

// ---- an engine -------------------------------------------------------------------------------

// Its clock: 2026-01-01, and a microsecond for each operation.
class simulated_clock {
 public:
  instant now() const { return {wall_time(since_), steady_time(since_)}; }
  // True when the daemon would keep house.
  bool advance() {
    since_ += std::chrono::microseconds(1);
    return since_.count() % 100'000 == 0;
  }

 private:
  std::chrono::microseconds since_ = std::chrono::seconds(1'767'225'600);
};

service::store_options engine_options(const arguments& given, unsigned mib) {
  service::store_options options;
  options.memory_bytes = std::size_t{mib} << 20;
  options.item_size_max = given.item_size_max;
  options.shards =
      service::shard_count_for(given.threads, options.memory_bytes, options.item_size_max);
  // As the daemon's: a sixteenth, at most 64 MiB. Without a peer the journal stays empty.
  options.journal_bytes = std::min(options.memory_bytes / 16, std::size_t{64} << 20);
  return options;
}

void check_hit(workload& work, const operation& o, const engine::item_view& item) {
  const std::size_t size = item.value_size();
  if (size == 0) return work.hit(o, size, {}, '\0');
  work.hit(o, size, item.piece_at(0), item.piece_at(size - 1).front());
}

void execute(service::store::locked& shard, const service::hashed_key& key, workload& work,
             const operation& o) {
  if (!o.overwrite) {
    if (const auto item = shard.find(key)) return check_hit(work, o, *item);
    work.missed();
  }
  const bool stored = shard.put(key, 0, 0, work.value(o)).status == engine::store_status::stored;
  if (!stored) shard.remove(key);  // as the command `set` does
  work.set(o, stored);
}

// What the engine says of itself at the end.
std::string engine_rows(const service::store& data) {
  const engine::shard_statistics t = data.statistics();
  const std::pair<const char*, std::uint64_t> rows[] = {{"items", t.items},
                                                        {"used_bytes", data.used_bytes()},
                                                        {"item_bytes", t.item_bytes},
                                                        {"log_bytes", t.log_bytes},
                                                        {"dead_bytes", t.dead_bytes},
                                                        {"large_bytes", t.large_bytes},
                                                        {"warm_bytes", t.warm_bytes},
                                                        {"index_bytes", t.index_bytes},
                                                        {"evictions", t.evictions},
                                                        {"ghost_hits", t.ghost_hits},
                                                        {"moved_bytes", t.moved_bytes},
                                                        {"compacted_bytes", t.compacted_bytes}};
  std::string text;
  for (const auto& [name, value] : rows)
    text.append(" ").append(name).append("=").append(std::to_string(value));
  return text;
}

bool replay_on_engine(const trace& from, const arguments& given, unsigned mib) {
  workload work(from, given);
  const service::store_options options = engine_options(given, mib);
  service::store data(options);
  simulated_clock clock;
  const auto start = std::chrono::steady_clock::now();
  while (!work.done()) {
    const operation o = work.next();
    const key_name name = work.key(o);
    const service::hashed_key key(name.view());
    {
      service::store::locked shard = data.lock(key, clock.now());
      execute(shard, key, work, o);
    }
    if (clock.advance()) data.housekeep(clock.now());
  }
  const double seconds = seconds_since(start);
  return work.print(seconds, " memory_mib=" + std::to_string(mib) +
                                 " shards=" + std::to_string(options.shards) + engine_rows(data));
}

// ---- command line ----------------------------------------------------------------------------

int run(const arguments& given) {
  const trace from = read_trace(given.trace_path, given.limit);
  bool right = true;
  for (const unsigned mib : given.engine_mib) right = replay_on_engine(from, given, mib) && right;
  if (given.port != 0) {
    workload work(from, given);
    const auto start = std::chrono::steady_clock::now();
    server_replay(work, from, given).run();
    right = work.print(seconds_since(start), "") && right;
  }
  return right ? 0 : 1;
}

arguments parse(int argc, char** argv) {
  arguments given;
  CLI::App app("Replays a cache trace and prints the object miss ratio.");
  app.add_option("--trace", given.trace_path, "the trace, *.og.zst")->required();
  auto* const port = app.add_option("--port", given.port, "of the server");
  app.add_option("--host", given.host, "of the server, an IPv4 address");
  app.add_option("--window", given.window, "requests under way at once")
      ->check(CLI::Range(1U, window_max));
  auto* const engine = app.add_option("--engine", given.engine_mib, "on engines of so many MiB")
                           ->delimiter(',')
                           ->check(CLI::Range(1U, 1U << 20));
  app.add_option("--item-size-max", given.item_size_max, "of the engines, like -I");
  app.add_option("--threads-setting", given.threads, "of the engines, for their shards");
  app.add_option("--limit", given.limit, "only the first so many requests");
  app.add_option("--overwrites", given.overwrites, "percent of the requests")
      ->check(CLI::Range(0U, 100U));
  app.add_option("--seed", given.seed, "of the overwrites");
  try {
    app.parse(argc, argv);
    if (port->empty() && engine->empty()) throw CLI::RequiredError("--port or --engine");
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error) == 0 ? 0 : 2);
  }
  return given;
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
