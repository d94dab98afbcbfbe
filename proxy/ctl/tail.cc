#include "proxy/ctl/tail.h"

#include <cstdio>

#include "proxy/ctl/exit_code.h"
#include "proxy/ctl/server_socket.h"
#include "proxy/ctl/text.h"

namespace tandem::ctl {

int tail(const std::string& server, const std::vector<std::string>& streams, unsigned lines) {
  server_socket node;
  if (const std::string wrong = node.connect(server); !wrong.empty()) {
    std::fprintf(stderr, "memtandemctl: %s\n", wrong.c_str());
    return unreachable;
  }
  std::string command = "watch";
  for (const std::string& each : streams) command += " " + each;
  std::string line;
  if (!node.send(command + "\r\n") || !node.line(line)) {
    std::fprintf(stderr, "memtandemctl: %s closed the connection\n", server.c_str());
    return unreachable;
  }
  if (line != "OK") {
    std::fprintf(stderr, "memtandemctl: %s\n", harmless(line).c_str());
    return no;
  }
  for (unsigned seen = 0; node.line(line);) {
    std::printf("%s\n", harmless(line).c_str());
    std::fflush(stdout);
    if (++seen == lines) return yes;
  }
  return no;
}

}  // namespace tandem::ctl
