// From a command line to a request. Follows memcached 1.6.45 to the byte, except where that is a
// known slip: leading spaces and `mn` with a bare LF are accepted, `delete` takes "key [0]
// [noreply]" only, `me KEY b` finds the key, an error ends in one CR LF, and an opaque that is too
// long is found before anything is done. Pure, allocates nothing, any thread.
#pragma once

#include <string_view>

#include "common/protocol/request.h"

namespace tandem::protocol {

// `line` is one whole line with its LF (and CR, if there was one), as line_finder cuts it.
request parse_line(std::string_view line) noexcept;

}  // namespace tandem::protocol
