// Which node executes a command, in words that the core, the service and the simulator share.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/replication/journal.h"

namespace tandem::replication {

// Who takes writes (replication.writes).
enum class writes_mode : std::uint8_t { both, master };

// What clients of a node get while it is being filled (replication.while_syncing).
enum class syncing_mode : std::uint8_t {
  refuse,        // nothing: they are not let in
  serve,         // what is there
  read_through,  // what is there, and the peer's where that is a miss
};

// Where a command that changes something is executed.
enum class write_place : std::uint8_t {
  here,
  peer,    // at the master: the peer, or, if it does not become that after all, this node
  refuse,  // nowhere: the master is out of reach
};

// What became of a request that was sent to the peer.
enum class forward_outcome : std::uint8_t {
  answered,
  elsewhere,  // it was not executed there: look again who is master
  failed,     // nobody knows whether it was executed
};

// A point in the journal of a shard, or of the flush_all register, whose slot is behind the
// shards'.
struct mutation_mark {
  std::size_t slot = 0;
  journal::position position = 0;
};

}  // namespace tandem::replication
