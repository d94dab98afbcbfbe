// memtandemctl's command line: what it takes and what is done with it.
#pragma once

namespace tandem::ctl {

// An exit_code.
int run_program(int argc, const char* const* argv);

}  // namespace tandem::ctl
