// The front door: command line, environment and file to one set of options. One thread.
//
// Precedence: flags, then MEMTANDEM_* variables, then the YAML file, then the defaults.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "config/settings.h"

namespace tandem::config {

struct command_line {
  // run: start with `opts`. Everything else: write `text` to standard output and exit with 0.
  enum class action {
    run,
    check_config,
    print_config,
    print_sample,
    print_version,
    print_help,
    print_license
  };

  options opts;
  action what = action::run;
  std::string text;                   // ends in a line break
  std::vector<std::string> warnings;  // for standard error or the log, a line each
  std::string config_file;            // empty: none was given
  std::vector<origin> origins;        // where each option came from, in the order of schema()

  // Where the key got its value: source_of("replication.peer") == source::flag. The key must exist.
  source source_of(std::string_view path) const;
};

// argv[0] is skipped. Environment: NAME=VALUE each. Reads the file that --config names and nothing
// else. Throws config_error with all that is wrong; main writes its messages a line each to
// standard error and exits with 78. With --help, --version, --license or --print-sample nothing is
// checked.
command_line parse_command_line(int argc, const char* const* argv,
                                const std::vector<std::string>& environment);

}  // namespace tandem::config
