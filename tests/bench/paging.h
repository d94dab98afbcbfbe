// The kernel's part in what the engine does, told apart from its own: the engine takes memory page
// by page when it first writes there and gives it back with madvise(), at a price that differs by a
// hundredfold between machines (a virtual machine without nested page tables pays 15 us a fault).
#pragma once

#include <cstdint>

namespace tandem::bench {

// From now on memory is taken as soon as it may be used, not when it is first written, and what
// that and giving it back take is counted here. For one thread.
void count_paging();
// CPU time that has gone there.
std::uint64_t paging_ns();

}  // namespace tandem::bench
