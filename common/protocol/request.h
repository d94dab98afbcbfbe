// One command line, taken apart. Its views point into the line.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/protocol/meta_flags.h"
#include "common/protocol/verbs.h"

namespace tandem::protocol {

constexpr std::size_t key_size_max = 250;  // bytes

// What the parser says a connection has to do with a line.
enum class action : std::uint8_t {
  run,     // a well-formed request
  refuse,  // answer `error`, after swallowing the data block if there is one
  close,   // hang up without an answer
};

// The argument of `shutdown`, in request::number.
enum class shutdown_mode : std::uint8_t { plain, graceful, unknown };

struct request {
  action todo = action::run;
  verb what = verb::unknown;
  // The client wants to hear nothing: neither result nor error.
  bool noreply = false;
  // A data block of value_bytes and two more (CR LF) follows the line.
  bool has_block = false;
  std::uint32_t value_bytes = 0;

  std::string_view key;  // as sent: with the meta flag b it is base64
  std::uint32_t flags = 0;
  std::int32_t exptime = 0;  // as sent; exptime.h turns it into a moment
  std::uint64_t number = 0;  // cas: the unique; incr, decr: the delta; else the first argument
  // get, gets, gat, gats: all keys, each of a legal length; the meta commands: all flags; stats,
  // watch, lru_crawler, lru, slabs: everything behind the verb.
  std::string_view rest;
  meta_flags meta;

  std::string_view error;  // the whole line with its CR LF (reply.h), when refused
};

inline void refuse(request& r, std::string_view error) noexcept {
  r.todo = action::refuse;
  r.error = error;
}

}  // namespace tandem::protocol
