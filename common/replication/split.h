// What a split cost: while two masters served, clients changed keys on both sides, and of each such
// key one change had to give way when they met.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace tandem::replication {

// Counted where records merge. A key counts as a conflict when the state here was made by this node
// and the incoming one by the peer, both after the link was lost (for a node that has had no link
// yet: after its start), as this node's versions tell; clocks that differ blur that moment by as
// much. Deletes are changes; evictions and expiry are not.
//   lost   the peer's change replaced the one here. Exact, and each key once, but for keys that are
//          changed again on both sides while the merge goes on.
//   won    the peer's change came and gave way to the one here. A lower bound: a change that the
//          peer replaces before it has sent it is not seen here; it is among the peer's `lost`. One
//          that the peer sends twice, because the link broke, counts twice.
// Whatever the number of keys, this is all that is kept.
struct split_report {
  struct sample {
    std::string key;
    bool won;  // the state here stayed
  };
  static constexpr std::size_t samples_max = 16;

  std::uint64_t won = 0;
  std::uint64_t lost = 0;
  std::vector<sample> samples;  // the first ones met
};

}  // namespace tandem::replication
