// `stats cachedump <class> <limit>`: keys with their sizes and expiry, for memcdump and the like.
// Classes are those of `stats items`. A look, not a copy of everything: answer and search are
// bounded.
#pragma once

#include <string_view>

#include "common/service/executor.h"

namespace tandem::service {

void answer_cachedump(execution& with, std::string_view arguments);

}  // namespace tandem::service
