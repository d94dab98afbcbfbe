// memtandemctl tail: memcached's `watch` streams of a node, as lines.
#pragma once

#include <string>
#include <vector>

namespace tandem::ctl {

// Until the node ends it or a signal ends this. `server`: HOST:PORT or a UNIX socket's path.
// `streams`: as `watch` takes them. `lines`: ends after so many; 0: never.
int tail(const std::string& server, const std::vector<std::string>& streams, unsigned lines);

}  // namespace tandem::ctl
