// set add replace append prepend cas ms: what happens with a data block. The condition is checked
// and the value stored under one lock of the key's shard; a large value that append or prepend
// makes is made before that, from a state that must still be there. One thread at a time.
#pragma once

#include <string_view>

#include "common/engine/large_value.h"
#include "common/service/executor.h"

namespace tandem::service {

// Blocks from this size on are received into their place, unless they have come already.
constexpr std::size_t placed_block_min = std::size_t{16} << 10;

// A place for such a block, before its bytes have come: they are received into `place`, outside any
// lock, with more memory from extend_block() when what is granted is full, and store_block() is
// called with it. False: there is no place. Then `refusal` is the answer once the block was
// swallowed, and what a `set` would have replaced, or an `ms` names, is gone: the client gave it
// up, and a stale value would be worse than a miss.
bool reserve_block(execution& with, const command& r, engine::large_ref& place,
                   std::string_view& refusal);
bool extend_block(execution& with, const command& r, engine::large_value& place,
                  std::string_view& refusal);

// The block has come whole and ended in CR LF: stores it if the command's condition holds, and
// answers.
void store_block(execution& with, const command& r, std::string_view value);
void store_block(execution& with, const command& r, engine::large_ref value);

}  // namespace tandem::service
