// The lines of the meta commands:
//
//   mg md ma <key> <flag>*      ms <key> <bytes> <flag>*      me <key> [b]      mn
//
// For parser.cc only.
#pragma once

#include "common/protocol/request.h"
#include "common/protocol/tokens.h"

namespace tandem::protocol {

// `words` stands behind the verb, which is one of theirs. A request that is refused is answered
// whatever its flag q says.
void parse_meta(request& r, token_cursor words) noexcept;

// The largest announced length of a data block: with its CR LF it still fits an int, memcached's
// type for it.
constexpr std::int32_t value_bytes_max = INT32_MAX - 2;

}  // namespace tandem::protocol
