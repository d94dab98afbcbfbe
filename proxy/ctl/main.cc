// memtandemctl: shows and steers running nodes. Exit status: 0 yes, 1 no, 2 unreachable, 3 usage.
#include <csignal>
#include <cstdio>
#include <exception>

#include "proxy/ctl/exit_code.h"
#include "proxy/ctl/program.h"

int main(int argc, char** argv) {
  try {
    // `memtandemctl events | head` ends quietly.
    std::signal(SIGPIPE, SIG_DFL);
    return tandem::ctl::run_program(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "memtandemctl: %s\n", error.what());
    return tandem::ctl::no;
  }
}
