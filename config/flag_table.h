// The table of flags: memcached's and Repcached's short ones as they stand, with memcached 1.6's
// long names where it has them. The parser, the help and the sample file are read from it.
// Immutable.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"

namespace tandem::config {

enum class argument { none, required, optional };

struct flag {
  std::string_view names;  // "-p,--port"
  std::string_view metavar = {};
  argument takes = argument::none;
  std::string_view group = {};  // of the help; empty: listed among those without effect or refused
  std::string_view help = {};   // refused and ignored ones: the reason, part of the message
  std::string_view key = {};    // the path of the key it sets, empty if it sets none
  // What the flag does with its arguments, one for each time it was given ("" where it had none).
  // nullptr: an action, left to parse_command_line.
  void (*apply)(const flag&, const std::vector<std::string>& given, settings& into) = nullptr;

  // "-p", or the long name if there is no short one.
  std::string name() const;
  // "-p, --port"
  std::string both_names() const;
};

std::span<const flag> flags();

// How the help lists those that have no group.
bool is_ignored(const flag& which);
bool is_refused(const flag& which);

// What -q counts: a key of 250 bytes and its record in the journal.
inline constexpr std::size_t queued_key_bytes = 264;

}  // namespace tandem::config
