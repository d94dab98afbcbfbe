// memcached's -o: a list of NAME and NAME=VALUE. Those that mean something here set their key, the
// others of memcached 1.6 are named in a warning, and what nobody knows is an error.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"

namespace tandem::config {

// `given`: the argument of each -o, in order; of a name given twice the last counts.
void apply_extended(const std::vector<std::string>& given, settings& into);

// Those that set this key.
std::vector<std::string_view> extended_names(std::string_view key_path);

}  // namespace tandem::config
