#include "proxy/ctl/config_tools.h"

#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>

#include "config/error.h"
#include "config/flags.h"
#include "proxy/ctl/exit_code.h"

namespace tandem::ctl {

namespace {

int run(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv = {"memtandem"};
  for (const std::string& each : arguments) argv.push_back(each.c_str());
  try {
    const config::command_line line =
        config::parse_command_line(static_cast<int>(argv.size()), argv.data(), {});
    for (const std::string& warning : line.warnings) std::fprintf(stderr, "%s\n", warning.c_str());
    std::fputs(line.text.c_str(), stdout);
    return yes;
  } catch (const config::config_error& error) {
    for (const std::string& message : error.messages())
      std::fprintf(stderr, "%s\n", message.c_str());
    return usage;
  }
}

}  // namespace

std::vector<std::string> flags_of(const std::string& memcached_conf) {
  std::vector<std::string> flags;
  std::istringstream lines(memcached_conf);
  for (std::string line; std::getline(lines, line);) {
    line = line.substr(0, line.find('#'));
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      // What the init script is for: the unit knows the file, the log is the journal's.
      if (word == "logfile") {
        words >> word;
        continue;
      }
      flags.push_back(word);
    }
  }
  return flags;
}

int check_config(const std::string& path) {
  return run({"--config", path, "--check-config"});
}

int print_config(const std::string& path) {
  return run({"--config", path, "--print-config"});
}

int import_config(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "memtandemctl: %s cannot be read\n", path.c_str());
    return usage;
  }
  std::vector<std::string> flags =
      flags_of({std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()});
  flags.emplace_back("--print-config");
  return run(flags);
}

}  // namespace tandem::ctl
