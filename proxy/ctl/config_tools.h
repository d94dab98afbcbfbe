// memtandemctl config: the daemon's configuration without the daemon. Exit codes: yes, or usage
// where something is wrong, each complaint on a line of standard error.
#pragma once

#include <string>
#include <vector>

namespace tandem::ctl {

int check_config(const std::string& path);
// All keys as they are in effect.
int print_config(const std::string& path);
// A file of Debian's memcached: flags, one or more a line, with comments. Prints it as YAML.
int import_config(const std::string& path);

// The flags of such a file; pure.
std::vector<std::string> flags_of(const std::string& memcached_conf);

}  // namespace tandem::ctl
