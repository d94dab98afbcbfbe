#include "config/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "config/environment.h"
#include "config/flag_table.h"
#include "config/print.h"
#include "config/text.h"
#include "config/yaml.h"

namespace tandem::config {
namespace {

using action = command_line::action;

// CLI11 takes the command line apart; what the pieces mean is the table's business. So it is given
// no variables, no validators and no help, and every option keeps all its occurrences.
class arguments {
 public:
  arguments(int argc, const char* const* argv, settings& into) {
    app_.set_help_flag();
    app_.allow_extras();
    for (const flag& f : flags()) {
      CLI::Option* const option = f.takes == argument::none
                                      ? app_.add_flag(std::string(f.names))->disable_flag_override()
                                      : app_.add_option(std::string(f.names));
      if (f.takes == argument::optional) option->expected(0, 1);
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
      options_.push_back(option);
    }
    // CLI11 would take the next argument for the missing value.
    for (int i = 1; i < argc; ++i)
      if (const std::string_view one = argv[i]; one.starts_with("--") && one.ends_with('=')) {
        into.fail(std::string(one.substr(0, one.size() - 1)) + ": the value after '=' is missing");
        broken_ = true;
        return;
      }
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ArgumentMismatch& e) {
      // CLI11's words are "--port: 1 required  missing" and "verbose was given a disallowed flag
      // override".
      const std::string_view what = e.what();
      const bool missing = what.ends_with("missing");
      const std::string name(what.substr(0, what.find_first_of(": ")));
      into.fail((name.starts_with("-") ? name : "--" + name) +
                (missing ? ": needs a value" : ": takes no value"));
      broken_ = true;
      return;
    } catch (const CLI::ParseError& e) {
      into.fail("command line: " + std::string(e.what()));
      broken_ = true;
      return;
    }
    bool unknown_option = false;
    for (const std::string& extra : app_.remaining()) {
      const bool option = extra.starts_with("-");
      unknown_option = unknown_option || option;
      // What follows an unknown option is most likely its argument, no second mistake.
      if (option || !unknown_option) refuse_extra(extra, into);
    }
  }

  bool broken() const { return broken_; }

  // One entry for each time the flag was given; "" where it had no argument.
  std::vector<std::string> given(const flag& f) const {
    const auto& option = options_[static_cast<std::size_t>(&f - flags().data())];
    std::vector<std::string> results = option->results();
    for (std::string& one : results)
      if (f.takes != argument::required && one == no_argument(f)) one.clear();
    return results;
  }

  std::vector<std::string> given(std::string_view name) const {
    const auto found = std::find_if(flags().begin(), flags().end(),
                                    [&](const flag& f) { return f.both_names().ends_with(name); });
    return given(*found);
  }

 private:
  // CLI11's own mark for "no argument".
  static std::string_view no_argument(const flag& f) {
    return f.takes == argument::none ? "true" : "";
  }

  static void refuse_extra(const std::string& extra, settings& into) {
    if (!extra.starts_with("-")) {
      into.fail("command line: unexpected argument '" + extra + "'");
      return;
    }
    std::vector<std::string_view> known;
    for (const flag& f : flags())
      if (const std::size_t at = f.names.find("--"); at != std::string_view::npos)
        known.push_back(f.names.substr(at));
    const std::string name = extra.substr(0, extra.find('='));
    const std::string_view near = name.starts_with("--") ? nearest(name, known) : "";
    into.fail("command line: unknown option '" + name + "'" +
              (near.empty() ? " (-h lists them)" : " (did you mean '" + std::string(near) + "'?)"));
  }

  CLI::App app_;
  std::vector<CLI::Option*> options_;  // in the order of flags(); owned by app_
  bool broken_ = false;
};

// The actions that need no valid configuration, in the order in which they win.
bool answer_at_once(const arguments& args, command_line& result) {
  struct answer {
    std::string_view name;
    action what;
    std::string (*text)();
  };
  static constexpr answer answers[] = {
      {"--help", action::print_help, help_text},
      {"--version", action::print_version, version_text},
      {"--license", action::print_license, license_text},
      {"--print-sample", action::print_sample, sample_yaml},
  };
  for (const answer& one : answers)
    if (!args.given(one.name).empty()) {
      result.what = one.what;
      result.text = one.text();
      return true;
    }
  return false;
}

}  // namespace

source command_line::source_of(std::string_view path) const {
  const std::size_t index = index_of(key_at(path));
  return index < origins.size() ? origins[index].from : source::defaults;
}

command_line parse_command_line(int argc, const char* const* argv,
                                const std::vector<std::string>& environment) {
  command_line result;
  settings layers;
  const arguments args(argc, argv, layers);
  if (!args.broken() && answer_at_once(args, result)) return result;

  const std::vector<std::string> files = args.given("--config");
  if (files.size() > 1)
    layers.fail("--config: given " + std::to_string(files.size()) + " times: one file is read");
  else if (files.size() == 1)
    result.config_file = files.front();
  if (files.size() == 1) read_yaml_file(result.config_file, layers);
  read_environment(environment, layers);
  for (const flag& f : flags()) {
    const std::vector<std::string> given = args.given(f);
    if (!given.empty() && f.apply != nullptr) f.apply(f, given, layers);
  }
  layers.finish();

  result.opts = layers.opts();
  result.warnings = layers.warnings();
  for (const key& which : schema()) result.origins.push_back(layers.origin_of(which));
  if (!args.given("--print-config").empty()) {
    result.what = action::print_config;
    result.text = config_yaml(result.opts, result.origins);
  } else if (!args.given("--check-config").empty()) {
    result.what = action::check_config;
    result.text = (result.config_file.empty() ? "configuration" : result.config_file) + ": ok\n";
  }
  return result;
}

}  // namespace tandem::config
