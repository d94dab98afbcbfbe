#include "proxy/ctl/node_commands.h"

#include <unistd.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <map>
#include <thread>

#include "proxy/ctl/exit_code.h"
#include "proxy/ctl/node_report.h"
#include "proxy/ctl/text.h"

namespace tandem::ctl {

namespace {

namespace json = boost::json;
using std::chrono::seconds;

constexpr seconds audit_limit{3600};
constexpr std::chrono::milliseconds look_interval{250};

void sleep_for(double how_long) {
  std::this_thread::sleep_for(std::chrono::duration<double>(how_long));
}

// The screen is drawn anew for each look, on a terminal.
void clear_screen() {
  if (::isatty(STDOUT_FILENO) == 1) std::fputs("\x1b[H\x1b[2J", stdout);
}

std::string progress_text(const node_report& now) {
  const std::string_view role = now.text("/role") == "syncing" ? "this node" : "the peer";
  return "filling " + std::string(role) + " " +
         bar(now.number("/replication/sync_permille") / 1000, bar_width) + " " +
         human_bytes(now.number("/replication/sync_bytes")) + ", " +
         human_bytes(now.number("/replication/sync_bytes_per_s")) + "/s, " +
         human_seconds(now.number("/replication/sync_seconds_left")) + " left";
}

bool in_sync(const node_report& now) {
  const std::string role = now.text("/role");
  return (role == "master" || role == "slave") && now.text("/replication/link") == "up" &&
         now.is("/replication/peer_in_sync");
}

// The numbers of an audit's answer: "compared 3".
std::map<std::string, unsigned long long> numbers_of(const std::vector<std::string>& lines) {
  std::map<std::string, unsigned long long> all;
  for (const std::string& line : lines)
    if (const std::size_t space = line.find(' '); space != std::string::npos)
      all[line.substr(0, space)] = std::strtoull(line.c_str() + space, nullptr, 10);
  return all;
}

}  // namespace

int explain(const desk_answer& why) {
  std::fprintf(stderr, "memtandemctl: %s\n", harmless(why.error).c_str());
  return why.what == desk_answer::result::unreachable ? unreachable : no;
}

int show_status(node_desk& node, const look_options& how) {
  desk_answer why;
  for (unsigned looks = 1;; ++looks) {
    const auto now = node_report::fetch(node, why);
    if (now) {
      if (how.watch) clear_screen();
      std::fputs((how.json ? json::serialize(now->json()) + "\n" : status_text(*now)).c_str(),
                 stdout);
      std::fflush(stdout);
    } else if (!how.watch || how.count != 0) {
      return explain(why);
    } else {
      clear_screen();
      std::printf("%s\n", harmless(why.error).c_str());
    }
    if (!how.watch || looks == how.count) return yes;
    sleep_for(how.interval);
  }
}

int run_command(node_desk& node, const std::string& command, seconds limit) {
  const desk_answer said = node.ask(command, limit);
  if (said.what != desk_answer::result::done) return explain(said);
  for (const std::string& line : said.lines) std::printf("%s\n", harmless(line).c_str());
  if (said.lines.empty()) std::printf("done\n");
  return yes;
}

int synchronize(node_desk& node, seconds limit) {
  const auto until = std::chrono::steady_clock::now() + limit;
  progress_line progress;
  desk_answer why;
  for (;;) {
    const auto now = node_report::fetch(node, why);
    if (!now) {
      progress.finish();
      return explain(why);
    }
    if (in_sync(*now)) break;
    const bool linked = now->text("/replication/link") == "up";
    progress.show(linked ? progress_text(*now) : "waiting for the peer: " + now->text("/sentence"));
    if (std::chrono::steady_clock::now() >= until) {
      progress.finish();
      std::fprintf(stderr, "memtandemctl: the pair did not get in sync in time\n");
      return no;
    }
    std::this_thread::sleep_for(look_interval);
  }
  progress.finish();
  return run_audit(node, true);
}

int run_audit(node_desk& node, bool repair) {
  const desk_answer said = node.ask(repair ? "audit repair" : "audit", audit_limit);
  if (said.what != desk_answer::result::done) return explain(said);
  for (const std::string& line : said.lines) std::printf("%s\n", harmless(line).c_str());
  auto found = numbers_of(said.lines);
  const bool same = found["differing"] <= found["repaired"] + found["dropped"];
  std::printf("%s\n", found["differing"] == 0 ? "both nodes have the same data"
                      : same                  ? "what differed has been sent again"
                                              : "the nodes differ: audit --repair sends it again");
  return same ? yes : no;
}

int show_events(node_desk& node, const event_options& how) {
  std::uint64_t seen = 0;
  for (bool first = true;; first = false) {
    const desk_answer said = node.ask("events " + std::to_string(seen), short_limit);
    if (said.what != desk_answer::result::done || said.lines.empty()) return explain(said);
    boost::system::error_code ec;
    const json::value all = json::parse(said.lines.front(), ec);
    const json::value* const list = ec ? nullptr : all.find_pointer("/events", ec);
    if (list == nullptr || !list->is_array()) return no;
    const json::array& events = list->get_array();
    const bool cut = first && how.last != 0 && events.size() > how.last;
    for (std::size_t i = cut ? events.size() - how.last : 0; i < events.size(); ++i) {
      std::fputs((how.json ? json::serialize(events[i]) + "\n" : event_text(events[i])).c_str(),
                 stdout);
    }
    if (!events.empty())
      seen = static_cast<std::uint64_t>(node_report(events.back()).number("/number"));
    std::fflush(stdout);
    if (!how.follow) return yes;
    std::this_thread::sleep_for(look_interval);
  }
}

int check(node_desk& node, const std::string& question, bool quiet) {
  const desk_answer said = node.ask("check " + question, short_limit);
  if (said.what == desk_answer::result::refused) {
    explain(said);
    return usage;
  }
  if (said.what != desk_answer::result::done || said.lines.empty()) return explain(said);
  if (!quiet) std::printf("%s\n", harmless(said.lines.front()).c_str());
  return said.lines.front().starts_with("yes") ? yes : no;
}

}  // namespace tandem::ctl
