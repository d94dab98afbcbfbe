#include "proxy/operator_desk.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "common/admin/health.h"
#include "common/admin/metrics.h"
#include "common/admin/status_json.h"
#include "proxy/clock.h"
#include "proxy/log.h"

namespace tandem::proxy {
namespace {

constexpr std::size_t report_events = 20;

std::string_view next_word(std::string_view& line) {
  const std::size_t begin = std::min(line.find_first_not_of(" \t"), line.size());
  line.remove_prefix(begin);
  const std::string_view word = line.substr(0, line.find_first_of(" \t"));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

operator_desk::operator_desk(const config::admin_options& options, ties to) : to_(std::move(to)) {
  if (options.port == 0 && options.agent_port == 0) return;
  server_ = std::make_unique<admin_server>(
      options, events_, to_.look,
      [this](std::uint64_t id, std::string text, const std::string& who) {
        note(replication::effect::level::info, admin::event_kind::operated,
             "admin: " + who + " said " + text);
        to_.run(id | own_ids, std::move(text));
      });
}

void operator_desk::start() {
  if (server_) server_->start();
}

void operator_desk::stop() {
  if (server_) server_->stop();
}

std::optional<operator_desk::said> operator_desk::answer(std::string_view command) {
  const std::string_view verb = next_word(command);
  const std::string_view argument = next_word(command);
  const bool more = !next_word(command).empty();
  if (verb == "report" || verb == "metrics") {
    if (!argument.empty()) return said{false, "too many arguments: try help"};
    const admin::snapshot now = to_.look();
    if (verb == "metrics") return said{true, admin::metrics_text(now)};
    return said{true, admin::status_json(now, events_.since(0, report_events)) + "\n"};
  }
  if (verb == "events") {
    std::uint64_t after = 0;
    const char* const end = argument.data() + argument.size();
    if (more || (!argument.empty() && std::from_chars(argument.data(), end, after).ptr != end))
      return said{false, "the number of an event was expected"};
    return said{true, admin::events_json(events_.since(after)) + "\n"};
  }
  if (verb == "check") {
    if (argument.empty() || more) return said{false, "a question was expected: check ready"};
    const auto verdict = admin::judge(argument, "", to_.look());
    if (!verdict) return said{false, "there is no such question"};
    return said{true, (verdict->yes ? "yes: " : "no: ") + verdict->why + "\n"};
  }
  return std::nullopt;
}

std::string operator_desk::help() {
  return "report: the status of node and process, as a line of JSON\n"
         "events [after]: what has happened, as a line of JSON; after: since the event of that "
         "number\n"
         "check QUESTION: yes or no to live, ready, primary, replica, in-sync, lag<2s\n"
         "metrics: what /metrics says\n";
}

bool operator_desk::is_help(std::string_view command) {
  return next_word(command) == "help" && next_word(command).empty();
}

void operator_desk::heard(std::string_view command) {
  std::string_view rest = command;
  const std::string_view verb = next_word(rest);
  if (verb.empty() || verb == "help" || verb == "status") return;
  events_.add(now().wall, replication::effect::level::info, admin::event_kind::operated,
              "control: said " + std::string(command));
}

void operator_desk::answered(std::uint64_t id, bool ok, std::string text) {
  if (server_) server_->answer(id & ~own_ids, ok, std::move(text));
}

void operator_desk::note(replication::effect::level severity, admin::event_kind kind,
                         std::string_view text) {
  events_.add(now().wall, severity, kind, text);
  log_note(severity, std::string(text));
}

std::string operator_desk::wrong_files() const {
  return server_ ? server_->wrong_files() : std::string();
}

std::string operator_desk::reload() {
  return server_ ? server_->reload() : std::string();
}

}  // namespace tandem::proxy
