// What memtandemctl does with a node through its control socket. Each returns an exit_code, prints
// what is to be read on standard output and what went wrong on standard error.
#pragma once

#include <chrono>
#include <string>

#include "proxy/ctl/node_desk.h"

namespace tandem::ctl {

struct look_options {
  bool watch = false;
  bool json = false;
  double interval = 1;  // seconds
  unsigned count = 0;   // looks; 0: without end, with watch
};

int show_status(node_desk& node, const look_options& how);
// One of the node's commands, word by word as it takes them; its answer, which may take `limit`.
int run_command(node_desk& node, const std::string& command, std::chrono::seconds limit);
// Waits until both nodes have all the data, then has them compared and what differs sent again.
int synchronize(node_desk& node, std::chrono::seconds limit);
// no: keys differ that were not repaired.
int run_audit(node_desk& node, bool repair);

struct event_options {
  bool follow = false;
  bool json = false;
  unsigned last = 0;  // 0: all there are
};
int show_events(node_desk& node, const event_options& how);

// The answer as the exit status, and its reason unless `quiet`.
int check(node_desk& node, const std::string& question, bool quiet);

// A live table of commands: rates, hit ratios, latencies.
int show_top(node_desk& node, const look_options& how);

// `why` of an answer that is not done, on standard error, and the exit status that it comes to.
int explain(const desk_answer& why);

}  // namespace tandem::ctl
