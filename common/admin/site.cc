#include "common/admin/site.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "common/admin/health.h"
#include "common/admin/metrics.h"
#include "common/admin/status_json.h"

namespace tandem::admin {

namespace {

constexpr unsigned status_events = 20;  // that /status tells
constexpr std::string_view get_methods = "GET, HEAD";
constexpr std::string_view health_methods = "GET, HEAD, OPTIONS";
constexpr std::string_view bearer = "Bearer ";

struct path_command {
  std::string_view path;
  std::string_view command;                    // the core's
  std::array<std::string_view, 2> words = {};  // one may follow it: `?force`
  bool needs_word = false;
};
constexpr std::array path_commands = {
    path_command{"/switchover", "switchover"},
    path_command{"/promote", "promote", {"force"}},
    path_command{"/demote", "demote"},
    path_command{"/drain", "drain", {"force"}},
    path_command{"/undrain", "undrain"},
    path_command{"/sync", "audit repair"},
    path_command{"/audit", "audit", {"repair"}},
    path_command{"/alone", "alone", {"on", "off"}, true},
};

// The value of a parameter of `a=1&b=2`; "" for one without a value; nothing if it is not there.
std::optional<std::string_view> parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(one.size() + 1, query.size()));
    const std::size_t equals = one.find('=');
    if (one.substr(0, equals) != name) continue;
    return equals == std::string_view::npos ? std::string_view() : one.substr(equals + 1);
  }
  return std::nullopt;
}

// Takes as long for every text of the same length.
bool same_secret(std::string_view one, std::string_view other) {
  return one.size() == other.size() && CRYPTO_memcmp(one.data(), other.data(), one.size()) == 0;
}

site_reply problem(unsigned status, std::string_view text, std::string_view allow = {}) {
  return {.status = status, .body = answer_json(false, text) + "\n", .allow = allow};
}

site_answer run(const path_command& what, std::string_view query, const site_request& request,
                std::string_view token) {
  if (request.method != "POST")
    return {problem(405, "this is a command: POST it, with the token", "POST"), {}};
  if (token.empty())
    return {problem(403, "commands are not taken here: admin.token_file is not set"), {}};
  if (!request.authorization.starts_with(bearer) ||
      !same_secret(request.authorization.substr(bearer.size()), token))
    return {problem(401, "the token is missing or wrong: Authorization: Bearer TOKEN"), {}};
  std::string command(what.command);
  std::string_view chosen;
  for (const std::string_view word : what.words)
    if (!word.empty() && parameter(query, word)) chosen = word;
  if (chosen.empty() && (what.needs_word || !query.empty()))
    return {problem(400, query.empty() ? "a parameter is missing" : "unknown parameter"), {}};
  if (!chosen.empty()) command.append(" ").append(chosen);
  return {std::nullopt, std::move(command)};
}

site_reply tell_events(std::string_view query, const site& of) {
  std::uint64_t after = 0;
  if (const auto text = parameter(query, "after"))
    if (std::from_chars(text->data(), text->data() + text->size(), after).ec != std::errc())
      return problem(400, "after: a number of an event was expected");
  return {.body = events_json(of.events->since(after)) + "\n"};
}

std::optional<site_reply> tell(std::string_view path, std::string_view query, const site& of) {
  if (path == "/")
    return site_reply{.type = "text/html; charset=utf-8", .body = std::string(of.page)};
  if (path == "/metrics")
    return site_reply{.type = metrics_content_type, .body = metrics_text(of.look())};
  if (path == "/events") return tell_events(query, of);
  if (path == "/status")
    return site_reply{.body = status_json(of.look(), of.events->since(0, status_events)) + "\n"};
  return std::nullopt;
}

}  // namespace

site_answer answer(const site_request& request, const site& of, std::string_view token) {
  const std::size_t mark = request.target.find('?');
  const std::string_view path = request.target.substr(0, mark);
  const std::string_view query =
      mark == std::string_view::npos ? std::string_view() : request.target.substr(mark + 1);
  for (const path_command& each : path_commands)
    if (each.path == path) return run(each, query, request, token);
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (path == "/" || path == "/metrics" || path == "/events" || path == "/status") {
    if (!reads) return {problem(405, "GET it", get_methods), {}};
    return {tell(path, query, of), {}};
  }
  if (path.size() < 2 || path.find('<') != std::string_view::npos)
    return {problem(404, "there is no such page"), {}};
  const snapshot& now = of.look();
  std::string question(path.substr(1));
  auto limit = parameter(query, "lag");
  if (path == "/lag") {
    limit = parameter(query, "below").value_or("");
    question.append("<").append(*limit);
  }
  const auto verdict = judge(question, limit.value_or(""), now);
  if (!verdict && limit) return {problem(400, "a limit of 64MiB or 500ms was expected"), {}};
  if (!verdict) return {problem(404, "there is no such page"), {}};
  if (!reads && request.method != "OPTIONS") return {problem(405, "GET it", health_methods), {}};
  return {site_reply{.status = verdict->yes ? 200U : 503U,
                     .body = verdict_json(*verdict, now) + "\n",
                     .allow = request.method == "OPTIONS" ? health_methods : std::string_view()},
          {}};
}

site_reply command_reply(bool ok, std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return {.status = ok ? 200U : 409U, .body = answer_json(ok, text) + "\n"};
}

}  // namespace tandem::admin
