#include "config/print.h"

#include "config/extended_options.h"
#include "config/flag_table.h"
#include "config/schema.h"
#include "config/text.h"

namespace tandem::config {
namespace {

// Words of `text` in lines of at most `width` bytes, each behind `margin`.
std::string wrapped(std::string_view text, const std::string& margin, std::size_t width) {
  std::string result, line = margin;
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
    if (line.size() > margin.size() && line.size() + 1 + word.size() > width) {
      result += line + "\n";
      line = margin;
    }
    if (line.size() > margin.size()) line += ' ';
    line += word;
  }
  return result + line + "\n";
}

std::string origin_text(const origin& at) {
  if (at.from == source::defaults) return "default";
  std::string result = at.where;
  for (char& c : result)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return result;
}

std::string flag_names(const key& which) {
  std::string result;
  const std::string path = which.path();
  for (const flag& f : flags())
    if (f.key == path) result += (result.empty() ? "" : ", ") + f.both_names();
  for (const std::string_view name : extended_names(path))
    result += (result.empty() ? "-o " : ", -o ") + std::string(name);
  return result;
}

constexpr std::string_view sample_head =
    "Memtandem's configuration. Every key is here with its default, so that an empty file means "
    "the "
    "same; keys that are unset by default are commented out with an example. Flags come before "
    "environment variables, those before this file. Sizes need a unit (B, KiB, MiB, GiB, TiB or k, "
    "m, g, t: powers of 1024), durations too (ms, s, m, h). Check a changed file with 'memtandem "
    "--config FILE --check-config' and see what is in effect with --print-config.";

constexpr std::size_t sample_columns = 96;

}  // namespace

std::string config_yaml(const options& effective, const std::vector<origin>& origins) {
  std::string result;
  options opts = effective;
  replication_options& link = opts.replication;
  // Repcached's flags take a peer off this host as they are; a file must say that it is meant.
  const bool implied = link.enabled && !link.insecure && !link.authenticated() && link.peer &&
                       !is_loopback(link.peer->host);
  link.insecure = link.insecure || implied;
  for (const section& s : sections()) {
    result += std::string(s.name) + ":\n";
    for (const key& which : schema()) {
      if (which.section != s.name) continue;
      result += "  " + std::string(which.name) + ": " + to_yaml(which, which.get(opts)) + "  # " +
                (implied && which.path() == "replication.insecure"
                     ? "implied by a peer off this host that a flag names"
                     : origin_text(origins[index_of(which)])) +
                "\n";
    }
  }
  return result;
}

std::string sample_yaml() {
  const options defaults;
  std::string result = wrapped(sample_head, "# ", sample_columns);
  for (const section& s : sections()) {
    result += "\n" + wrapped(s.description, "# ", sample_columns) + std::string(s.name) + ":\n";
    bool first = true;
    for (const key& which : schema()) {
      if (which.section != s.name) continue;
      if (!first) result += "\n";
      first = false;
      const value standard = which.get(defaults);
      const bool unset = std::holds_alternative<std::monostate>(standard);
      const std::string by_default = unset ? "unset" : to_yaml(which, standard);
      const std::string names = flag_names(which);
      result += wrapped(which.description, "  # ", sample_columns);
      result += "  # Allowed: " + allowed(which) + ". Default: " + by_default + ".\n";
      result += "  # " + (names.empty() ? "" : "Flag: " + names + ". ") +
                "Environment: " + which.variable() + ".\n";
      result += (unset ? "  #" : "  ") + std::string(which.name) + ": " +
                (unset ? to_yaml(which, parse_value(which, which.example).result) : by_default) +
                "\n";
    }
  }
  return result;
}

std::string help_text() {
  constexpr std::size_t columns = 79;
  std::string result = "memtandem " MEMTANDEM_VERSION
                       ": memcached with a live twin\n"
                       "Usage: memtandem [OPTION]...\n";
  std::string_view group;
  std::string ignored, refused;
  for (const flag& f : flags()) {
    if (is_ignored(f)) ignored += " " + f.name();
    if (is_refused(f)) refused += " " + f.name();
    if (f.group.empty()) continue;
    if (f.group != group) result += "\n" + std::string(f.group) + ":\n";
    group = f.group;
    const bool short_name = !f.names.starts_with("--");
    std::string names = (short_name ? "  " : "      ") + f.both_names();
    if (f.takes == argument::required)
      names += (f.names.find("--") == std::string_view::npos ? " " : "=") + std::string(f.metavar);
    if (f.takes == argument::optional) names += " [" + std::string(f.metavar) + "]";
    std::string text(f.help);
    if (!f.key.empty()) {
      const key& which = key_at(f.key);
      const value standard = which.get(options{});
      const bool plain = which.type != kind::choice && which.type != kind::boolean &&
                         !is_list(which.type) && which.type != kind::string &&
                         standard != value{} && standard != value{std::int64_t{0}};
      if (plain) text += " (default: " + to_yaml(which, standard) + ")";
    }
    const std::string margin(33, ' ');
    std::string lines = wrapped(text, margin, columns);
    lines.replace(0, margin.size(), names + std::string(margin.size() - names.size(), ' '));
    result += lines;
  }
  result += "\n" + wrapped("Accepted with a warning, without effect:" + ignored, "", columns);
  result += wrapped("Refused, because not offered:" + refused, "", columns);
  result += wrapped(
      "Every key of the YAML file can also be set in the environment: "
      "MEMTANDEM_<SECTION>_<KEY>, as in MEMTANDEM_CACHE_MEMORY=2g. Flags come first, "
      "then the environment, then the file.",
      "", columns);
  return result;
}

std::string version_text() {
  return "memtandem " MEMTANDEM_VERSION "\n";
}

}  // namespace tandem::config
