// A load generator for memcached's text protocol: one thread, epoll, no library, so that it costs
// less than the server it measures. Every reply is verified: a set must be STORED, a value read
// must be one that this program wrote for that key.
//
//   tandem_load --port P [--host A] [--connections N] [--pipeline D] [--set-ratio R] [--keys N]
//               [--value-size B] [--count N | --duration S] [--rate OPS] [--fill] [--seed S]
//   tandem_load --port P --keys N --digest [--without-uniques] [--dump FILE]
//
// Load prints one line of name=value: ops seconds ops_per_s hits misses errors p50_us p99_us
// max_us (a request's time is its batch's), with the first error in words on standard error.
// --fill sets every key once, in order. A digest reads every key with `gets` and prints items,
// misses and a hash over keys, flags, values and CAS uniques: equal contents, equal digests.
// (Without uniques: where a stock memcached gives its own, and of the rest.) Exit status: 0 no
// error, 1 errors, 2 usage or no connection.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/load_digest.h"

namespace {

using namespace tandem::bench::loader;  // NOLINT(google-build-using-namespace)
using steady = std::chrono::steady_clock;

volatile std::sig_atomic_t stopped = 0;
void on_signal(int) {
  stopped = 1;
}

// ---- figures ---------------------------------------------------------------------------------

// Times in microseconds, 32 buckets to a doubling: within 3 %.
class histogram {
 public:
  void add(std::uint64_t value, std::uint64_t times) {
    counts_[bucket(value)] += times;
    total_ += times;
    max_ = std::max(max_, value);
  }
  std::uint64_t percentile(double p) const {
    std::uint64_t left = static_cast<std::uint64_t>(p / 100 * static_cast<double>(total_));
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] > left) return floor_of(i);
      left -= counts_[i];
    }
    return max_;
  }
  std::uint64_t max() const { return max_; }

 private:
  static std::size_t bucket(std::uint64_t value) {
    if (value < 32) return value;
    const auto shift = static_cast<unsigned>(std::bit_width(value)) - 6;
    return std::min<std::size_t>(32 * shift + (value >> shift), 1023);
  }
  static std::uint64_t floor_of(std::size_t index) {
    if (index < 64) return index;
    const std::size_t shift = index / 32 - 1;
    return (index - 32 * shift) << shift;
  }
  std::array<std::uint64_t, 1024> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t max_ = 0;
};

struct figures {
  std::uint64_t ops = 0, hits = 0, misses = 0, errors = 0;
  histogram latency;
  std::string first_error;

  void fail(std::string text) {
    if (errors++ == 0) first_error = std::move(text);
  }
};

// ---- connections -----------------------------------------------------------------------------

struct request {
  std::uint64_t key;
  bool is_set;
};

// One connection: a batch of `pipeline` requests is written at once, and the next one follows when
// every reply of it has come.
struct connection {
  int fd = -1;
  std::string out;
  std::size_t written = 0;
  std::string in;
  std::size_t parsed = 0;
  std::deque<request> awaited;
  std::size_t batch_size = 0;
  steady::time_point sent_at;
  bool wants_write = false;
};

class load {
 public:
  explicit load(const arguments& given) : given_(given), random_(given.seed * 2 + 1) {
    poll_ = ::epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < given.connections; ++i) {
      auto made = std::make_unique<connection>();
      made->fd = connect_to(given);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = made.get();
      ::epoll_ctl(poll_, EPOLL_CTL_ADD, made->fd, &event);
      ready_.push_back(made.get());
      connections_.push_back(std::move(made));
    }
    open_ = connections_.size();
    budget_ = given.fill ? given.keys : given.count != 0 ? given.count : ~0ULL;
  }

  // Runs to the end and returns the seconds it took.
  double run() {
    start_ = steady::now();
    while (open_ > 0) {
      const bool over = finished();
      if (over && ready_.size() == open_) break;
      if (!over) start_batches();
      std::array<epoll_event, 64> events;
      const int count =
          ::epoll_wait(poll_, events.data(), static_cast<int>(events.size()), wait_milliseconds());
      for (int i = 0; i < count; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        on_event(*static_cast<connection*>(event.data.ptr), event.events);
      }
    }
    return std::chrono::duration<double>(steady::now() - start_).count();
  }

  const figures& result() const { return figures_; }

 private:
  std::uint64_t next_random() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return random_;
  }

  double elapsed() const { return std::chrono::duration<double>(steady::now() - start_).count(); }

  bool finished() const {
    if (stopped != 0 || issued_ >= budget_) return true;
    return given_.duration > 0 && elapsed() >= given_.duration;
  }

  // Requests that the rate lets start now.
  std::uint64_t allowed() const {
    if (given_.rate <= 0) return ~0ULL;
    const auto by_now = static_cast<std::uint64_t>(elapsed() * given_.rate);
    return by_now > issued_ ? by_now - issued_ : 0;
  }

  int wait_milliseconds() const { return given_.rate > 0 && !ready_.empty() ? 1 : 100; }

  void start_batches() {
    while (!ready_.empty() && issued_ < budget_ &&
           allowed() >= std::min<std::uint64_t>(given_.pipeline, budget_ - issued_)) {
      connection& on = *ready_.front();
      ready_.pop_front();
      start_batch(on);
    }
  }

  void start_batch(connection& on) {
    on.out.clear();
    on.written = 0;
    on.batch_size = std::min<std::uint64_t>(given_.pipeline, budget_ - issued_);
    for (std::size_t i = 0; i < on.batch_size; ++i) {
      const std::uint64_t key = given_.fill ? issued_ : next_random() % given_.keys;
      const double dice = static_cast<double>(next_random() >> 11) / 9007199254740992.0;
      const bool is_set = given_.fill || dice < given_.set_ratio;
      append_request(on.out, key, is_set);
      on.awaited.push_back({key, is_set});
      ++issued_;
    }
    on.sent_at = steady::now();
    write_some(on);
  }

  void append_request(std::string& out, std::uint64_t key, bool is_set) {
    if (!is_set) {
      out += "get " + key_name(key) + "\r\n";
      return;
    }
    out += "set " + key_name(key) + ' ' + std::to_string(key_flags(key)) + " 0 " +
           std::to_string(given_.value_size) + "\r\n";
    append_value(out, key, next_random(), given_.value_size);
    out += "\r\n";
  }

  void write_some(connection& on) {
    while (on.written < on.out.size()) {
      const ssize_t sent =
          ::send(on.fd, on.out.data() + on.written, on.out.size() - on.written, MSG_NOSIGNAL);
      if (sent < 0) {
        if (errno != EAGAIN) return drop(on, std::string("send: ") + std::strerror(errno));
        return watch(on, true);
      }
      on.written += static_cast<std::size_t>(sent);
    }
    watch(on, false);
  }

  void watch(connection& on, bool write) {
    if (on.wants_write == write) return;
    on.wants_write = write;
    epoll_event event{};
    event.events = write ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.ptr = &on;
    ::epoll_ctl(poll_, EPOLL_CTL_MOD, on.fd, &event);
  }

  void drop(connection& on, const std::string& why) {
    figures_.fail(why + " (with " + std::to_string(on.awaited.size()) + " replies awaited)");
    std::erase(ready_, &on);
    ::close(on.fd);
    on.fd = -1;
    --open_;
  }

  void on_event(connection& on, std::uint32_t events) {
    if (on.fd < 0) return;
    if ((events & EPOLLOUT) != 0) write_some(on);
    if (on.fd < 0 || (events & ~static_cast<std::uint32_t>(EPOLLOUT)) == 0) return;
    std::array<char, 65536> buffer;
    const ssize_t got = ::recv(on.fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) return drop(on, std::string("receive: ") + std::strerror(errno));
    if (got == 0) return drop(on, "the server closed the connection");
    on.in.append(buffer.data(), static_cast<std::size_t>(got));
    while (!on.awaited.empty() && take_reply(on)) {
    }
    on.in.erase(0, on.parsed);
    on.parsed = 0;
    if (on.batch_size == 0 || !on.awaited.empty()) return;
    const auto took =
        std::chrono::duration_cast<std::chrono::microseconds>(steady::now() - on.sent_at);
    figures_.latency.add(static_cast<std::uint64_t>(took.count()), on.batch_size);
    on.batch_size = 0;
    ready_.push_back(&on);
  }

  // Takes the reply of the oldest request; false when more bytes are needed.
  bool take_reply(connection& on) {
    const std::string_view rest = std::string_view(on.in).substr(on.parsed);
    const std::size_t line_end = rest.find("\r\n");
    if (line_end == std::string_view::npos) return false;
    const std::string_view line = rest.substr(0, line_end);
    const request asked = on.awaited.front();
    std::size_t used = line_end + 2;
    if (asked.is_set) {
      if (line != "STORED") figures_.fail("set answered: " + std::string(line));
    } else if (line == "END") {
      ++figures_.misses;
    } else if (!line.starts_with("VALUE ")) {
      figures_.fail("get answered: " + std::string(line));
    } else {
      const std::string header =
          "VALUE " + key_name(asked.key) + ' ' + std::to_string(key_flags(asked.key)) + ' ';
      std::size_t size = 0;
      std::from_chars(line.data() + line.rfind(' ') + 1, line.data() + line.size(), size);
      if (rest.size() < used + size + 7) return false;
      const std::string_view value = rest.substr(used, size);
      if (!line.starts_with(header) || !value_is_ours(value, asked.key) ||
          rest.substr(used + size, 7) != "\r\nEND\r\n") {
        figures_.fail("a foreign value: " + std::string(line));
      }
      ++figures_.hits;
      used += size + 7;
    }
    ++figures_.ops;
    on.awaited.pop_front();
    on.parsed += used;
    return true;
  }

  const arguments& given_;
  std::uint64_t random_;
  int poll_ = -1;
  std::vector<std::unique_ptr<connection>> connections_;
  std::deque<connection*> ready_;  // idle, oldest first
  std::size_t open_ = 0;
  std::uint64_t issued_ = 0;
  std::uint64_t budget_ = 0;
  steady::time_point start_;
  figures figures_;
};

// ---- command line ----------------------------------------------------------------------------

[[noreturn]] void usage(const std::string& why) {
  std::fprintf(stderr, "tandem_load: %s; its options stand at the top of tests/bench/load.cc\n",
               why.c_str());
  std::exit(2);
}

double number(const std::string& name, const char* text) {
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  if (end == text || *end != '\0' || value < 0) usage(name + " wants a number, not " + text);
  return value;
}

arguments parse(int argc, char** argv) {
  arguments given;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--fill") {
      given.fill = true;
      continue;
    }
    if (name == "--digest") {
      given.digest = true;
      continue;
    }
    if (name == "--without-uniques") {
      given.uniques = false;
      continue;
    }
    if (i + 1 >= argc) usage("unknown or incomplete option " + name);
    const char* const text = argv[++i];
    if (name == "--host") {
      given.host = text;
      continue;
    }
    if (name == "--dump") {
      given.dump = text;
      continue;
    }
    const double value = number(name, text);
    if (name == "--port") {
      given.port = static_cast<std::uint16_t>(value);
    } else if (name == "--connections") {
      given.connections = static_cast<unsigned>(value);
    } else if (name == "--pipeline") {
      given.pipeline = std::max(1U, static_cast<unsigned>(value));
    } else if (name == "--set-ratio") {
      given.set_ratio = value;
    } else if (name == "--keys") {
      given.keys = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(value));
    } else if (name == "--value-size") {
      given.value_size = static_cast<std::size_t>(value);
    } else if (name == "--count") {
      given.count = static_cast<std::uint64_t>(value);
    } else if (name == "--duration") {
      given.duration = value;
    } else if (name == "--rate") {
      given.rate = value;
    } else if (name == "--seed") {
      given.seed = static_cast<std::uint64_t>(value);
    } else {
      usage("unknown option " + name);
    }
  }
  return given;
}

int run_load(const arguments& given) {
  load generator(given);
  const double seconds = generator.run();
  const figures& got = generator.result();
  std::printf(
      "ops=%llu seconds=%.3f ops_per_s=%.0f hits=%llu misses=%llu errors=%llu "
      "p50_us=%llu p99_us=%llu max_us=%llu\n",
      static_cast<unsigned long long>(got.ops), seconds, static_cast<double>(got.ops) / seconds,
      static_cast<unsigned long long>(got.hits), static_cast<unsigned long long>(got.misses),
      static_cast<unsigned long long>(got.errors),
      static_cast<unsigned long long>(got.latency.percentile(50)),
      static_cast<unsigned long long>(got.latency.percentile(99)),
      static_cast<unsigned long long>(got.latency.max()));
  if (got.errors == 0) return 0;
  std::fprintf(stderr, "tandem_load: first error: %s\n", got.first_error.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const arguments given = parse(argc, argv);
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  if (!given.digest) return run_load(given);
  digest(given).run();
  return 0;
}
