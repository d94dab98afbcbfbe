// `stats` and its sub-commands. Field names are memcached's where the thing exists here; what is
// only here (bytes dead, copied, remembered) has names of its own.
#pragma once

#include <string_view>

#include "common/service/executor.h"

namespace tandem::service {

// Begins with three numbers: libmemcached parses them and enables features by them.
inline constexpr std::string_view version_text = "1.6.45-memtandem-" MEMTANDEM_VERSION;

// Answers `stats <arguments>`. Sub-commands match exactly; unknown ones get ERROR.
void answer_stats(execution& with, std::string_view arguments);

}  // namespace tandem::service
