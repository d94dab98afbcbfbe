// What an operator can tell a node: a line in, an answer out, at once or when the thing is done. A
// command that takes time keeps its id in `orders_` until it is answered, and is answered that it
// took too long when its time is over: no id is left without an answer, and none gets two.
//
// To add a verb: a row in the table, and a member of core that answers or, with answer_later(),
// sees to it that somebody does. Words are separated by spaces; verbs are written in lower case.
#include <algorithm>
#include <array>
#include <utility>

#include "common/replication/core.h"
#include "common/replication/status_rows.h"

namespace tandem::replication {

namespace {

constexpr std::size_t orders_max = 64;      // under way at once
constexpr std::size_t words_max = 16;       // of one command
constexpr milliseconds answer_limit{5000};  // unless answer_later() says otherwise

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (;;) {
    const std::size_t begin = line.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos || words.size() > words_max) return words;
    line.remove_prefix(begin);
    words.push_back(line.substr(0, line.find_first_of(" \t\r\n")));
    line.remove_prefix(words.back().size());
  }
}

}  // namespace

struct node::core::verb {
  std::string_view name;
  std::string_view arguments;  // as `help` shows them; "[word]": that word or nothing
  std::string_view what;
  std::size_t arguments_max;
  void (core::*run)(const order&);
};

std::span<const node::core::verb> node::core::verbs() {
  static constexpr std::array table = {
      verb{"help", "", "the commands there are", 0, &core::order_help},
      verb{"status", "", "the node as `stats replication` shows it, a name and a value a line", 0,
           &core::order_status},
      verb{"alone", "on|off", "in sync mode: whether to take mutations without a peer", 1,
           &core::order_alone},
      verb{"switchover", "", "master and slave change places; nothing acknowledged is lost", 0,
           &core::order_switchover},
      verb{"promote", "[force]",
           "makes this node master: by a switchover if it is linked to one, alone if not; force: "
           "without asking pre_promote, and even if it is not filled",
           1, &core::order_promote},
      verb{"demote", "", "makes this master the slave of a peer that is in sync", 0,
           &core::order_demote},
      verb{"drain", "[force]",
           "hands the mastership over, takes no new clients and lets those there go; force: even "
           "if nobody is there to take over",
           1, &core::order_drain},
      verb{"undrain", "", "takes clients again", 0, &core::order_undrain},
      verb{"audit", "[repair]",
           "compares the data with the peer's; repair: sends what differs again", 1,
           &core::order_audit},
  };
  return table;
}

void node::core::on(const event::command& e) {
  const order o{e.id, words_of(e.text)};
  if (orders_.size() >= orders_max) {
    effects_.emplace_back(effect::answer{e.id, false, "too many commands are under way"});
    return;
  }
  orders_[e.id] = now_.steady + answer_limit;
  if (o.words.empty()) return answer(e.id, false, "a command was expected: try help");
  const auto table = verbs();
  const auto found = std::find_if(table.begin(), table.end(),
                                  [&](const verb& v) { return v.name == o.words.front(); });
  if (found == table.end()) return answer(e.id, false, "unknown command: try help");
  if (o.words.size() - 1 > found->arguments_max)
    return answer(e.id, false, "too many arguments: try help");
  if (o.words.size() == 2 && found->arguments.starts_with('[') &&
      "[" + std::string(o.words[1]) + "]" != found->arguments)
    return answer(e.id, false, "unknown argument: try help");
  (this->*found->run)(o);
}

void node::core::answer(std::uint64_t id, bool ok, std::string text) {
  if (orders_.erase(id) != 0) effects_.emplace_back(effect::answer{id, ok, std::move(text)});
}

void node::core::answer_later(std::uint64_t id, milliseconds limit) {
  orders_[id] = now_.steady + limit;
}

void node::core::check_orders() {
  std::vector<std::uint64_t> late;
  for (const auto& [id, by] : orders_)
    if (now_.steady >= by) late.push_back(id);
  for (const std::uint64_t id : late) answer(id, false, "it took too long");
}

void node::core::order_help(const order& o) {
  std::string text;
  for (const verb& v : verbs()) {
    text.append(v.name);
    if (!v.arguments.empty()) text.append(" ").append(v.arguments);
    text.append(": ").append(v.what).append("\n");
  }
  answer(o.id, true, std::move(text));
}

void node::core::order_status(const order& o) {
  std::string text;
  for (const auto& [name, value] : status_rows(status(now_)))
    text.append(name).append(" ").append(value).append("\n");
  for (const split_report::sample& sample : last_split_.samples)
    text.append(sample.won ? "split_sample_won " : "split_sample_lost ")
        .append(one_word(sample.key))
        .append("\n");
  answer(o.id, true, std::move(text));
}

}  // namespace tandem::replication
