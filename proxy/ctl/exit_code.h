// What memtandemctl says by its exit status; scripts and load balancers' checks rely on it.
#pragma once

namespace tandem::ctl {

enum exit_code : int {
  yes = 0,          // done, or the answer is yes
  no = 1,           // refused, failed, or the answer is no
  unreachable = 2,  // nobody answers
  usage = 3,        // wrong arguments, or a wrong configuration file
};

}  // namespace tandem::ctl
