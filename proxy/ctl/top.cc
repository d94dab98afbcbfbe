// memtandemctl top: what changed between two reports, as a table.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdio>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

#include "proxy/ctl/exit_code.h"
#include "proxy/ctl/node_commands.h"
#include "proxy/ctl/node_report.h"
#include "proxy/ctl/text.h"

namespace tandem::ctl {

namespace {

struct command_row {
  const char* name;
  std::array<const char*, 4> counters;  // "" ends them
  const char* hits;                     // "" where there is no hit or miss
  const char* misses;
  const char* latency;  // of the node's histograms
};
constexpr std::array rows = {
    command_row{"get", {"cmd_get", "", "", ""}, "get_hits", "get_misses", "get"},
    command_row{"set", {"cmd_set", "", "", ""}, "", "", "set"},
    command_row{"delete",
                {"delete_hits", "delete_misses", "", ""},
                "delete_hits",
                "delete_misses",
                "delete"},
    command_row{"incr/decr",
                {"incr_hits", "incr_misses", "decr_hits", "decr_misses"},
                "",
                "",
                "arithmetic"},
    command_row{"touch", {"cmd_touch", "", "", ""}, "touch_hits", "touch_misses", "touch"},
    command_row{"mixed", {"", "", "", ""}, "", "", "mixed"},
};

std::vector<double> numbers(const node_report& from, const std::string& path) {
  boost::system::error_code ec;
  const boost::json::value* const found = from.json().find_pointer(path, ec);
  std::vector<double> all;
  if (found == nullptr || !found->is_array()) return all;
  for (const auto& each : found->get_array())
    all.push_back(each.is_number() ? each.to_number<double>() : 0);
  return all;
}

// The bound that a share of the samples is within, as text.
std::string percentile(const std::vector<double>& samples, const std::vector<double>& bounds,
                       double share) {
  const double all = std::accumulate(samples.begin(), samples.end(), 0.0);
  if (all <= 0) return "-";
  double so_far = 0;
  for (std::size_t i = 0; i < bounds.size() && i < samples.size(); ++i) {
    so_far += samples[i];
    if (so_far >= share * all) return "<" + human_count(bounds[i]);
  }
  return bounds.empty() ? "-" : ">" + human_count(bounds.back());
}

class difference {
 public:
  difference(const node_report& before, const node_report& after)
      : before_(before), after_(after), seconds_(after.number("/time") - before.number("/time")) {}
  double rate(const std::string& counter) const {
    const std::string path = "/commands/" + counter;
    return seconds_ > 0 ? (after_.number(path) - before_.number(path)) / seconds_ : 0;
  }
  std::vector<double> samples(const std::string& command) const {
    std::vector<double> then = numbers(before_, "/latency/commands/" + command);
    std::vector<double> now = numbers(after_, "/latency/commands/" + command);
    for (std::size_t i = 0; i < now.size() && i < then.size(); ++i) now[i] -= then[i];
    return now;
  }

 private:
  const node_report& before_;
  const node_report& after_;
  double seconds_;
};

std::string hit_text(const difference& change, const command_row& row) {
  if (*row.hits == 0) return "-";
  const double hit = change.rate(row.hits), miss = change.rate(row.misses);
  if (hit + miss <= 0) return "-";
  char text[16];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * hit / (hit + miss));
  return text;
}

void print_table(const node_report& before, const node_report& after) {
  const difference change(before, after);
  const std::vector<double> bounds = numbers(after, "/latency/bounds_us");
  std::printf(
      "%s %s, %s clients, %s items, lag %s ms; in %s/s, out %s/s\n",
      clock_text(after.number("/time")).c_str(), after.text("/role").c_str(),
      after.text("/connections/current").c_str(), human_count(after.number("/cache/items")).c_str(),
      after.text("/replication/lag_ms").c_str(), human_bytes(change.rate("bytes_read")).c_str(),
      human_bytes(change.rate("bytes_written")).c_str());
  std::printf("%-10s %10s %8s %9s %9s %9s\n", "command", "per s", "hits", "p50 us", "p99 us",
              "p99.9 us");
  // The hottest first.
  std::vector<std::pair<double, const command_row*>> by_rate;
  for (const command_row& row : rows) {
    double rate = 0;
    for (const char* const counter : row.counters)
      if (*counter != 0) rate += change.rate(counter);
    by_rate.emplace_back(rate, &row);
  }
  std::stable_sort(by_rate.begin(), by_rate.end(),
                   [](const auto& one, const auto& other) { return one.first > other.first; });
  for (const auto& [rate, row] : by_rate) {
    const auto samples = change.samples(row->latency);
    std::printf("%-10s %10s %8s %9s %9s %9s\n", row->name,
                *row->counters[0] == 0 ? "-" : human_count(rate).c_str(),
                hit_text(change, *row).c_str(), percentile(samples, bounds, 0.5).c_str(),
                percentile(samples, bounds, 0.99).c_str(),
                percentile(samples, bounds, 0.999).c_str());
  }
  std::fflush(stdout);
}

}  // namespace

int show_top(node_desk& node, const look_options& how) {
  desk_answer why;
  auto before = node_report::fetch(node, why);
  if (!before) return explain(why);
  for (unsigned looks = 1;; ++looks) {
    std::this_thread::sleep_for(std::chrono::duration<double>(how.interval));
    auto after = node_report::fetch(node, why);
    if (!after) return explain(why);
    if (::isatty(STDOUT_FILENO) == 1) std::fputs("\x1b[H\x1b[2J", stdout);
    print_table(*before, *after);
    if (looks == how.count) return yes;
    before = std::move(after);
  }
}

}  // namespace tandem::ctl
