#include "proxy/ctl/bench.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "proxy/asio.h"
#include "proxy/ctl/exit_code.h"
#include "proxy/ctl/server_socket.h"
#include "proxy/ctl/text.h"

namespace tandem::ctl {

namespace {

namespace asio = boost::asio;
using proxy::error_code;
using clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds progress_interval{250};

struct figures {
  latency_buckets latencies;
  std::uint64_t gets = 0, sets = 0, hits = 0, wrong = 0, broken = 0, refused = 0;
  std::string first_error;
};

// What all connections share; one thread.
struct plan {
  explicit plan(const bench_options& options)
      : how(options), ranks(options.keys, options.zipf), random(options.seed) {}
  const bench_options& how;
  clock::time_point until;
  const zipf_ranks ranks;
  std::mt19937_64 random;
  std::uint64_t next_fill = 0;
  bool filling = false;
  figures sum;

  double unit() { return std::uniform_real_distribution<double>(0, 1)(random); }
  bool over() const { return filling ? next_fill >= how.keys : clock::now() >= until; }
};

class connection {
 public:
  connection(asio::io_context& context, int socket, plan& shared)
      : socket_(context), plan_(shared) {
    socket_.assign(proxy::tcp::v4(), socket);
    socket_.non_blocking(true);
  }

  void batch() {
    if (plan_.over()) return;
    output_.clear();
    waiting_.clear();
    for (unsigned i = 0; i < plan_.how.pipeline && !(plan_.filling && plan_.over()); ++i) add();
    written_ = 0;
    began_ = clock::now();
    write();
  }

 private:
  struct request {
    std::uint64_t key;
    bool set;
  };

  void add() {
    request one{};
    if (plan_.filling) {
      one = {plan_.next_fill++, true};
    } else {
      one.key = plan_.ranks.next([this] { return plan_.unit(); });
      one.set = plan_.unit() >= plan_.how.reads;
    }
    const std::string key = "bench:" + std::to_string(one.key);
    if (one.set) {
      const unsigned size = value_size(plan_.how, one.key);
      output_ += "set " + key + " 0 0 " + std::to_string(size) + "\r\n";
      append_value(output_, one.key, size);
      output_ += "\r\n";
    } else {
      output_ += "get " + key + "\r\n";
    }
    waiting_.push_back(one);
  }

  void write() {
    socket_.async_write_some(asio::buffer(output_) + written_,
                             [this](error_code ec, std::size_t n) {
                               if (ec) return fail(ec.message());
                               written_ += n;
                               if (written_ < output_.size()) return write();
                               read();
                             });
  }

  void read() {
    const std::size_t before = input_.size();
    input_.resize(before + read_bytes);
    socket_.async_read_some(asio::buffer(input_.data() + before, read_bytes),
                            [this, before](error_code ec, std::size_t n) {
                              input_.resize(before + (ec ? 0 : n));
                              if (ec) return fail(ec.message());
                              take();
                            });
  }

  void take() {
    std::size_t at = 0;
    while (!waiting_.empty()) {
      const std::size_t used = reply(std::string_view(input_).substr(at));
      if (failed_) return;
      if (used == 0) break;
      at += used;
      const auto took = clock::now() - began_;
      plan_.sum.latencies.add(static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(took).count()));
      waiting_.pop_front();
    }
    input_.erase(0, at);
    if (waiting_.empty()) return batch();
    read();
  }

  // The bytes of the first reply, 0 while it is not complete.
  std::size_t reply(std::string_view in) {
    const std::size_t end = in.find("\r\n");
    if (end == std::string_view::npos) return 0;
    const std::string_view line = in.substr(0, end);
    const request& asked = waiting_.front();
    if (asked.set) {
      ++plan_.sum.sets;
      if (line != "STORED") refuse(line);
      return end + 2;
    }
    if (line == "END") {
      ++plan_.sum.gets;
      return end + 2;
    }
    if (!line.starts_with("VALUE ")) {
      ++plan_.sum.gets;
      refuse(line);
      return end + 2;
    }
    std::size_t size = 0;
    const std::string_view digits = line.substr(line.rfind(' ') + 1);
    std::from_chars(digits.data(), digits.data() + digits.size(), size);
    constexpr std::string_view tail = "\r\nEND\r\n";
    const std::size_t whole = end + 2 + size + tail.size();
    if (in.size() < whole) return 0;
    ++plan_.sum.gets;
    ++plan_.sum.hits;
    check(line, in.substr(end + 2, size), in.substr(end + 2 + size, tail.size()) == tail);
    return whole;
  }

  void check(std::string_view line, std::string_view value, bool framed) {
    const request& asked = waiting_.front();
    bool good = framed && line.substr(6).starts_with("bench:" + std::to_string(asked.key) + " ");
    if (good && plan_.how.verify) {
      expected_.clear();
      append_value(expected_, asked.key, value_size(plan_.how, asked.key));
      good = value == expected_;
    }
    if (good) return;
    ++plan_.sum.wrong;
    note("a wrong value for key bench:" + std::to_string(asked.key));
    if (!framed) fail("a reply that is none");
  }

  void refuse(std::string_view line) {
    ++plan_.sum.refused;
    note(std::string(line.substr(0, 100)));
  }
  void fail(const std::string& why) {
    failed_ = true;
    ++plan_.sum.broken;
    note(why);
    error_code ignored;
    socket_.close(ignored);
  }
  void note(const std::string& why) {
    if (plan_.sum.first_error.empty()) plan_.sum.first_error = why;
  }

  static constexpr std::size_t read_bytes = 16 << 10;
  proxy::tcp_socket socket_;
  plan& plan_;
  std::string output_, input_, expected_;
  std::size_t written_ = 0;
  std::deque<request> waiting_;
  clock::time_point began_;
  bool failed_ = false;
};

int connect_all(const bench_options& how, std::vector<int>& sockets) {
  for (unsigned i = 0; i < how.connections; ++i) {
    server_socket one;
    if (const std::string wrong = one.connect(how.server); !wrong.empty()) {
      std::fprintf(stderr, "memtandemctl: %s\n", wrong.c_str());
      return unreachable;
    }
    sockets.push_back(one.release());
  }
  return yes;
}

std::string progress_text(const plan& now, double seconds) {
  const double done = static_cast<double>(now.sum.gets + now.sum.sets);
  const double share = now.filling
                           ? static_cast<double>(now.next_fill) / static_cast<double>(now.how.keys)
                           : seconds / now.how.seconds;
  return std::string(now.filling ? "filling " : "") + bar(share, bar_width) + " " +
         human_count(done) + " requests, " + human_count(done / seconds) + "/s, " +
         human_seconds(share > 0 ? seconds / share - seconds : 0) + " left";
}

void print(const figures& f, double seconds) {
  const double all = static_cast<double>(f.gets + f.sets);
  std::printf("%.0f requests in %.2f s: %s/s (%llu gets, %llu sets), hit ratio %.1f %%\n", all,
              seconds, human_count(seconds > 0 ? all / seconds : 0).c_str(),
              static_cast<unsigned long long>(f.gets), static_cast<unsigned long long>(f.sets),
              f.gets > 0 ? 100.0 * static_cast<double>(f.hits) / static_cast<double>(f.gets) : 0.0);
  std::printf("latency us:");
  for (const double share : {0.5, 0.9, 0.99, 0.999, 1.0})
    std::printf(" p%g %.1f", 100 * share,
                static_cast<double>(f.latencies.percentile(share)) / 1000);
  std::printf("\nerrors: %llu refused, %llu wrong values, %llu broken connections%s%s\n",
              static_cast<unsigned long long>(f.refused), static_cast<unsigned long long>(f.wrong),
              static_cast<unsigned long long>(f.broken),
              f.first_error.empty() ? "" : "; first: ", harmless(f.first_error).c_str());
}

}  // namespace

int run_bench(const bench_options& how) {
  std::vector<int> sockets;
  if (const int failed = connect_all(how, sockets); failed != yes) return failed;
  asio::io_context context(1);
  plan shared(how);
  std::vector<std::unique_ptr<connection>> connections;
  for (const int each : sockets)
    connections.push_back(std::make_unique<connection>(context, each, shared));
  const auto run = [&] {
    const auto began = clock::now();
    const auto passed = [began] {
      return std::chrono::duration<double>(clock::now() - began).count();
    };
    progress_line progress;
    for (const auto& each : connections) each->batch();
    context.restart();
    for (;;) {
      context.run_for(progress_interval);
      if (context.stopped()) break;
      progress.show(progress_text(shared, passed()));
    }
    progress.finish();
    return passed();
  };
  if (how.fill) {
    shared.filling = true;
    const double took = run();
    shared.filling = false;
    std::printf("filled %llu keys in %.2f s\n", static_cast<unsigned long long>(shared.sum.sets),
                took);
    const bool broken = shared.sum.broken != 0;
    if (!broken) shared.sum = {};
    if (broken) {
      print(shared.sum, took);
      return no;
    }
  }
  shared.until = clock::now() + std::chrono::duration_cast<clock::duration>(
                                    std::chrono::duration<double>(how.seconds));
  const double took = run();
  print(shared.sum, took);
  return shared.sum.wrong + shared.sum.broken + shared.sum.refused == 0 ? yes : no;
}

}  // namespace tandem::ctl
