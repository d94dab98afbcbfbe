// Pool files for what spreads keys over several pairs: stable names, so that a key's place does not
// depend on addresses, and no ejection of a server, because a pair heals itself. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tandem::ctl {

struct pool_pair {
  std::string name;
  std::vector<std::string> servers;  // HOST:PORT, the preferred first; one or two
};

// "NAME=HOST:PORT[,HOST:PORT]"; what is wrong with it, or "".
std::string parse_pair(std::string_view text, pool_pair& out);

// Formats: twemproxy, mcrouter, routelib, libmemcached. Empty: there is no such format. `listen`:
// of twemproxy.
std::string pool_text(std::string_view format, const std::vector<pool_pair>& pairs,
                      const std::string& listen);

}  // namespace tandem::ctl
