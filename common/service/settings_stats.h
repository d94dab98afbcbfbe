// `stats settings`: every row of memcached 1.6.45 in its order, then our own. Where memcached has a
// setting and we have no such thing, the value is the one that says so. What the configuration
// knows comes from server::settings().
#pragma once

#include "common/service/executor.h"

namespace tandem::service {

void answer_settings(execution& with);

}  // namespace tandem::service
