#include "proxy/ctl/program.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "config/text.h"
#include "proxy/ctl/bench.h"
#include "proxy/ctl/completion.h"
#include "proxy/ctl/config_tools.h"
#include "proxy/ctl/desk_client.h"
#include "proxy/ctl/exit_code.h"
#include "proxy/ctl/http_desk.h"
#include "proxy/ctl/node_commands.h"
#include "proxy/ctl/pool.h"
#include "proxy/ctl/tail.h"

namespace tandem::ctl {

namespace {

using std::chrono::seconds;

constexpr seconds change_limit{660};  // a switchover may take handover_timeout, 10 min at most

int misuse(const std::string& what) {
  std::fprintf(stderr, "memtandemctl: %s\n", what.c_str());
  return usage;
}

// The commands and their options; what was parsed is run by run().
class program {
 public:
  program() {
    app_.description("Shows and steers a memtandem node and its pair.");
    app_.footer(
        "Exit status: 0 done or yes, 1 refused or no, 2 the node cannot be reached, 3 usage.");
    app_.require_subcommand(1);
    app_.fallthrough();
    app_.set_version_flag("--version", "memtandemctl " MEMTANDEM_VERSION);
    app_.add_option("-s,--socket", socket_,
                    "the node's control socket (else $MEMTANDEM_CONTROL_SOCKET, else "
                    "/run/memtandem/control.sock)");
    app_.add_option("-i,--instance", instance_, "the node memtandem@INSTANCE of this machine");
    app_.add_option("-u,--url", url_, "a node's admin port: http://HOST:PORT or https://HOST:PORT")
        ->excludes("--socket")
        ->excludes("--instance");
    app_.add_option("--token-file", token_file_,
                    "the token of admin.token_file, for what changes something, with --url "
                    "($MEMTANDEM_TOKEN_FILE)");
    app_.add_option("--ca-file", ca_file_,
                    "whose certificates to trust, in PEM, with --url ($MEMTANDEM_CA_FILE); else "
                    "those that this machine trusts");
    add_looks();
    add_changes();
    add_questions();
    add_streams();
    add_bench();
    add_tools();
  }

  int run(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
      return app_.exit(e) == 0 ? yes : usage;
    }
    return todo_();
  }

 private:
  static std::string environment(const char* name) {
    const char* const value = std::getenv(name);  // NOLINT(*-mt-unsafe)
    return value == nullptr ? "" : value;
  }
  std::string socket_path() const {
    if (!socket_.empty()) return socket_;
    if (!instance_.empty()) return "/run/memtandem-" + instance_ + "/control.sock";
    const std::string named = environment("MEMTANDEM_CONTROL_SOCKET");
    return named.empty() ? "/run/memtandem/control.sock" : named;
  }
  // Does it with the node that the options name, or else the environment.
  int with_node(const std::function<int(node_desk&)>& what) const {
    const std::string url = !url_.empty()                          ? url_
                            : socket_.empty() && instance_.empty() ? environment("MEMTANDEM_URL")
                                                                   : "";
    if (url.empty()) {
      desk_client node(socket_path());
      return what(node);
    }
    http_desk_options how;
    if (const std::string wrong = parse_url(url, how.where); !wrong.empty())
      return misuse(url + ": " + wrong);
    const std::string token_file =
        token_file_.empty() ? environment("MEMTANDEM_TOKEN_FILE") : token_file_;
    std::string wrong;
    if (!token_file.empty()) how.token = read_token(token_file, wrong);
    if (!wrong.empty()) return misuse(wrong);
    how.ca_file = ca_file_.empty() ? environment("MEMTANDEM_CA_FILE") : ca_file_;
    http_desk node(std::move(how));
    return what(node);
  }
  // A command of the program, done by `what`.
  CLI::App& command(CLI::App& under, const char* name, const char* description,
                    std::function<int()> what) {
    CLI::App& made = *under.add_subcommand(name, description);
    made.callback([this, what = std::move(what)] { todo_ = what; });
    return made;
  }
  // One that asks the node.
  CLI::App& asking(const char* name, const char* description, std::function<int(node_desk&)> what) {
    return command(app_, name, description,
                   [this, what = std::move(what)] { return with_node(what); });
  }

  void add_looks() {
    CLI::App& status = asking("status", "the node, its pair and what to do next",
                              [this](node_desk& node) { return show_status(node, look_); });
    status.add_flag("-w,--watch", look_.watch, "again and again");
    status.add_flag("--json", look_.json, "as JSON, a line for each look");
    CLI::App& top = asking("top", "a live table of commands, hit ratios and latencies",
                           [this](node_desk& node) { return show_top(node, look_); });
    for (CLI::App* const each : {&status, &top}) {
      each->add_option("-n,--interval", look_.interval, "seconds between looks (1)")
          ->check(CLI::Range(0.1, 3600.0));
      each->add_option("-c,--count", look_.count, "ends after so many looks");
    }
    CLI::App& events = asking("events", "what has happened to the node: the last 200",
                              [this](node_desk& node) { return show_events(node, events_); });
    events.add_flag("-f,--follow", events_.follow, "and what happens from now on");
    events.add_flag("--json", events_.json, "a line of JSON for each");
    events.add_option("-n,--last", events_.last, "only so many");
  }

  void change(const char* name, const char* description, bool may_force) {
    CLI::App& made = asking(name, description, [this, name](node_desk& node) {
      return run_command(node, force_ ? std::string(name) + " force" : name, change_limit);
    });
    if (may_force) made.add_flag("--force", force_, "even against advice: see the description");
  }

  void add_changes() {
    change("switchover", "master and slave change places; nothing acknowledged is lost", false);
    change("promote", "makes this node master; --force: even if it is not filled", true);
    change("demote", "makes this master the slave of a peer that is in sync", false);
    change("drain", "hands the mastership over and lets clients go; --force: even with no peer",
           true);
    change("undrain", "takes clients again", false);
    CLI::App& alone = asking(
        "alone", "in sync mode: whether to take mutations without a peer",
        [this](node_desk& node) { return run_command(node, "alone " + word_, short_limit); });
    alone.add_option("on|off", word_, "on or off")->required()->check(CLI::IsMember({"on", "off"}));
    CLI::App& sync =
        asking("sync", "waits until the pair is in sync, then compares and repairs",
               [this](node_desk& node) { return synchronize(node, seconds(timeout_)); });
    sync.add_option("-t,--timeout", timeout_, "seconds to wait at the most (600)")
        ->check(CLI::Range(1, 86400));
    CLI::App& audit = asking("audit", "compares the data of both nodes",
                             [this](node_desk& node) { return run_audit(node, repair_); });
    audit.add_flag("--repair", repair_, "sends again what differs");
  }

  void add_questions() {
    CLI::App& check = asking("check",
                             "yes or no, as the exit status: live, ready, primary, "
                             "replica, read-only, in-sync, lag<2s, lag<64MiB",
                             [this](node_desk& node) { return ctl::check(node, word_, quiet_); });
    check.add_option("question", word_, "what is asked")->required();
    check.add_flag("-q,--quiet", quiet_, "no reason");
  }

  void add_streams() {
    CLI::App& tail = command(app_, "tail", "the node's `watch` streams, line by line",
                             [this] { return ctl::tail(bench_.server, words_, lines_); });
    tail.add_option("streams", words_,
                    "fetchers mutations evictions deletions connevents replication ...");
    tail.add_option("--server", bench_.server, "the client port (127.0.0.1:11211)");
    tail.add_option("-n,--lines", lines_, "ends after so many");
  }

  void add_bench() {
    CLI::App& bench = command(app_, "bench", "a load on a client port, and how it was served",
                              [this] { return bench_with(); });
    bench.add_option("--server", bench_.server, "the client port (127.0.0.1:11211)");
    bench.add_option("-c,--connections", bench_.connections, "at once (50)")
        ->check(CLI::Range(1, 10000));
    bench.add_option("-P,--pipeline", bench_.pipeline, "requests sent together (1)")
        ->check(CLI::Range(1, 1000));
    bench.add_option("-r,--ratio", bench_.reads, "share of gets (0.9)")
        ->check(CLI::Range(0.0, 1.0));
    bench.add_option("-k,--keys", bench_.keys, "how many there are (100000)")
        ->check(CLI::Range(1, 1000000000));
    bench.add_option("-S,--sizes", word_, "of values: 100, or 64-4KiB");
    bench.add_option("-z,--zipf", bench_.zipf, "skew of the keys (0.99); 0: none")
        ->check(CLI::Range(0.0, 5.0));
    bench.add_option("-t,--seconds", bench_.seconds, "how long (10)")
        ->check(CLI::Range(0.1, 86400.0));
    bench.add_flag("--fill", bench_.fill, "sets every key once before");
    bench.add_flag("--verify", bench_.verify, "compares every byte that is read");
    bench.add_option("--seed", bench_.seed, "of what is random (1)");
  }

  int bench_with() {
    if (bench_.zipf == 1) bench_.zipf = std::nextafter(1.0, 0.0) - 1e-9;
    if (!word_.empty()) {
      const std::size_t dash = word_.find('-');
      const auto low = size_of(word_.substr(0, dash));
      const auto high = dash == std::string::npos ? low : size_of(word_.substr(dash + 1));
      if (low < 0 || high < low || high > (1 << 30)) return misuse("--sizes: 100 or 64-4KiB");
      bench_.size_min = static_cast<unsigned>(low);
      bench_.size_max = static_cast<unsigned>(high);
    }
    return run_bench(bench_);
  }
  // -1: it is none.
  static std::int64_t size_of(const std::string& text) {
    if (const auto number = config::parse_integer(text)) return *number;
    const config::quantity size = config::parse_size(text);
    return size.status == config::quantity_status::ok ? size.number : -1;
  }

  void add_tools() {
    CLI::App& pool = command(app_, "pool",
                             "a pool file for several pairs, each NAME=HOST:PORT[,"
                             "HOST:PORT]",
                             [this] { return print_pool(); });
    pool.add_option("-f,--format", word_, "twemproxy, mcrouter, routelib or libmemcached")
        ->required()
        ->check(CLI::IsMember({"twemproxy", "mcrouter", "routelib", "libmemcached"}));
    pool.add_option("--listen", listen_, "where twemproxy listens (127.0.0.1:22121)");
    pool.add_option("pairs", words_, "the pairs")->required();

    CLI::App& config = *app_.add_subcommand("config", "configuration files");
    config.require_subcommand(1);
    const std::tuple<const char*, const char*, int (*)(const std::string&)> tools[] = {
        {"check", "all that is wrong with a file", check_config},
        {"print", "all keys as a file sets them", print_config},
        {"import", "the flags of a memcached.conf as a YAML file", import_config}};
    for (const auto& [name, description, what] : tools)
      command(config, name, description, [this, tool = what] { return tool(word_); })
          .add_option("file", word_, "its path")
          ->required();
    command(app_, "completion", "a shell's completion of this program",
            [this] {
              std::fputs(completion_text(app_, word_).c_str(), stdout);
              return yes;
            })
        .add_option("shell", word_, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  }

  int print_pool() const {
    std::vector<pool_pair> pairs;
    for (const std::string& each : words_) {
      pool_pair one;
      if (const std::string wrong = parse_pair(each, one); !wrong.empty())
        return misuse(each + ": " + wrong);
      for (const pool_pair& other : pairs)
        if (other.name == one.name) return misuse(each + ": the name is there already");
      pairs.push_back(std::move(one));
    }
    std::fputs(pool_text(word_, pairs, listen_).c_str(), stdout);
    return yes;
  }

  CLI::App app_;
  std::string socket_, instance_, url_, token_file_, ca_file_;
  std::function<int()> todo_;
  look_options look_;
  event_options events_;
  bench_options bench_;
  bool force_ = false, repair_ = false, quiet_ = false;
  int timeout_ = 600;
  unsigned lines_ = 0;
  std::string word_, listen_ = "127.0.0.1:22121";
  std::vector<std::string> words_;
};

}  // namespace

int run_program(int argc, const char* const* argv) {
  return program().run(argc, argv);
}

}  // namespace tandem::ctl
