#include "proxy/ctl/completion.h"

#include <algorithm>
#include <set>
#include <vector>

namespace tandem::ctl {

namespace {

struct command {
  std::string path;                 // "" for the program, "config check"
  std::string description;          // on one line, without quotes
  std::vector<std::string> words;   // of its options, commands and arguments, quoted for any shell
  std::vector<std::string> valued;  // of its options, those that a value follows: "-s", "--socket"
};

std::string plain(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](char c) { return c == '\'' || c == '"' || c == '`' || c == ':' || c == '\n'; }, ' ');
  return text.substr(0, text.find_first_of(".;"));
}

void collect(const CLI::App& app, const std::string& path, std::vector<command>& to) {
  command here{path, plain(app.get_description()), {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) here.words.push_back("--" + name);
    if (option->get_items_expected_max() == 0) continue;
    for (const std::string& name : option->get_lnames()) here.valued.push_back("--" + name);
    for (const std::string& name : option->get_snames()) here.valued.push_back("-" + name);
  }
  if (path == "check")
    here.words.insert(here.words.end(),
                      {"live", "ready", "primary", "replica", "read-only", "in-sync", "'lag<2s'"});
  if (path == "completion") here.words.insert(here.words.end(), {"bash", "zsh", "fish"});
  const auto children = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* child : children) here.words.push_back(child->get_name());
  to.push_back(std::move(here));
  for (const CLI::App* child : children)
    collect(*child, path.empty() ? child->get_name() : path + " " + child->get_name(), to);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// The options, of any command, behind which a word is a value, as a pattern of `case`.
std::string valued_options(const std::vector<command>& all) {
  std::set<std::string> names;
  for (const command& each : all) names.insert(each.valued.begin(), each.valued.end());
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : "|") + name;
  return text;
}

// The words so far that are neither options nor their values name the command; what may follow it
// is offered, and behind an option that wants a value, files.
std::string bash(const std::vector<command>& all) {
  std::string text =
      "# bash completion for memtandemctl\n"
      "_memtandemctl() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} so_far= words= value= i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    if [[ $value ]]; then value=; continue; fi\n"
      "    case ${COMP_WORDS[i]} in\n"
      "      " +
      valued_options(all) +
      ") value=1 ;;\n"
      "      -*) ;;\n"
      "      *) so_far+=\"${so_far:+ }${COMP_WORDS[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case ${value:+value}$so_far in\n";
  for (const command& each : all) {
    text += "    '" + each.path + "') words=\"" + joined(each.words) + "\" ;;\n";
  }
  return text +
         "    *) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "}\n"
         "complete -F _memtandemctl memtandemctl\n";
}

std::string zsh(const std::vector<command>& all) {
  std::string text =
      "#compdef memtandemctl\n"
      "_memtandemctl() {\n"
      "  local so_far= value= i\n"  // `path` is zsh's own
      "  for ((i = 2; i < CURRENT; i++)); do\n"
      "    if [[ -n $value ]]; then value=; continue; fi\n"
      "    case ${words[i]} in\n"
      "      " +
      valued_options(all) +
      ") value=1 ;;\n"
      "      -*) ;;\n"
      "      *) so_far+=\"${so_far:+ }${words[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case ${value:+value}$so_far in\n";
  for (const command& each : all) {
    text += "    '" + each.path + "') compadd -- " + joined(each.words) + " ;;\n";
  }
  return text + "    *) _files ;;\n  esac\n}\n_memtandemctl \"$@\"\n";
}

std::string fish(const std::vector<command>& all) {
  std::string text = "# fish completion for memtandemctl\ncomplete -c memtandemctl -f\n";
  for (const command& each : all) {
    const std::size_t space = each.path.rfind(' ');
    const std::string parent = space == std::string::npos ? "" : each.path.substr(0, space);
    const std::string name = space == std::string::npos ? each.path : each.path.substr(space + 1);
    const std::string within = "__fish_seen_subcommand_from ";
    if (!name.empty())
      text += "complete -c memtandemctl -n '" +
              (parent.empty() ? "__fish_use_subcommand" : within + parent) + "' -a " + name +
              " -d '" + each.description + "'\n";
    const bool leaf = each.path == "check" || each.path == "completion";
    for (const std::string& word : each.words) {
      const bool option = word.starts_with("--");
      if (!option && !leaf) continue;  // a command, which is told by itself
      const bool valued =
          std::find(each.valued.begin(), each.valued.end(), word) != each.valued.end();
      text += "complete -c memtandemctl " + (name.empty() ? "" : "-n '" + within + name + "' ") +
              (option ? (valued ? "-rF -l " : "-l ") + word.substr(2) : "-a \"" + word + "\"") +
              "\n";
    }
  }
  return text;
}

}  // namespace

std::string completion_text(const CLI::App& program, std::string_view shell) {
  std::vector<command> all;
  collect(program, "", all);
  if (shell == "bash") return bash(all);
  if (shell == "zsh") return zsh(all);
  if (shell == "fish") return fish(all);
  return {};
}

}  // namespace tandem::ctl
