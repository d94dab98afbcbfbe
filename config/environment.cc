#include "config/environment.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "config/text.h"

namespace tandem::config {
namespace {

constexpr std::string_view prefix = "MEMTANDEM_";

// The variables of kubernetes.io/docs/concepts/services-networking/service/#environment-variables
// and of the Docker links they imitate.
bool is_service_link(std::string_view name, std::string_view content) {
  if (name.ends_with("SERVICE_HOST") || name.ends_with("SERVICE_PORT")) return true;
  if (name.find("SERVICE_PORT_") != std::string_view::npos) return true;
  const bool url = content.starts_with("tcp://") || content.starts_with("udp://") ||
                   content.starts_with("sctp://");
  if (url) return name.ends_with("_PORT") || name.ends_with("_TCP") || name.ends_with("_UDP");
  const std::size_t port = name.find("_PORT_");
  if (port == std::string_view::npos || port + 6 >= name.size()) return false;
  const char digit = name[port + 6];
  return digit >= '0' && digit <= '9' &&
         (name.ends_with("_PROTO") || name.ends_with("_PORT") || name.ends_with("_ADDR"));
}

// What a hook finds in its environment (hooks.pre_promote and its like), and so does a memtandem
// that it starts.
bool is_for_hooks(std::string_view name) {
  constexpr std::array names = {"HOOK",   "ROLE",          "TERM",          "PEER",
                                "REASON", "CONFLICTS_WON", "CONFLICTS_LOST"};
  name.remove_prefix(prefix.size());
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

void read_environment(const std::vector<std::string>& entries, settings& into) {
  std::vector<std::string> names;
  for (const key& which : schema()) names.push_back(which.variable());
  const std::vector<std::string_view> known(names.begin(), names.end());
  for (const std::string& entry : entries) {
    const std::size_t equals = entry.find('=');
    if (!entry.starts_with(prefix) || equals == std::string::npos) continue;
    const std::string name = entry.substr(0, equals);
    const std::string content = entry.substr(equals + 1);
    if (is_service_link(name, content) || is_for_hooks(name)) continue;
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) {
      into.set_text(schema()[static_cast<std::size_t>(found - names.begin())], content,
                    source::environment, name);
      continue;
    }
    const std::string_view near = nearest(name, known);
    into.fail(name + ": unknown variable" +
              (near.empty() ? " (they are called MEMTANDEM_<SECTION>_<KEY>)"
                            : " (did you mean '" + std::string(near) + "'?)"));
  }
}

}  // namespace tandem::config
