// Records in frames. Each is 36 bytes and its key and value, little-endian:
//
//   kind 1 | marks 1 | key length 1 | exptime part 1 | value length 4 | stored 8 | touched 8 |
//   flags 4 | exptime 4 | 0 4 | [CAS unique 8] | key | value
//
// The CAS unique is there if the marks say that the item has one of its own.
//
// A `records` frame holds one or more; a `large` frame holds one whose value (of the stated length)
// follows in `chunk` frames.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/replication/record.h"

namespace tandem::replication {

constexpr std::size_t record_header_bytes = 36;
constexpr std::size_t value_size_limit = std::size_t{1} << 30;  // memcached's -I goes up to 1 GiB

// Appends a record; of one with a streamed value everything but the value's bytes.
void append_record(std::string& out, const record& r);

// Takes the first record off `payload`; nothing (and an end to the session) if it is malformed: key
// empty or over 250 bytes, unknown kind, an impossible version, a length past the payload.
// `value_follows`: the value is not in the payload; its length is returned in `value_size`.
std::optional<record> take_record(std::string_view& payload, bool value_follows,
                                  std::size_t& value_size);

std::string encode(const flush_state& f);
std::optional<flush_state> decode_flush(std::string_view payload);

}  // namespace tandem::replication
