// The environment's layer: MEMTANDEM_<SECTION>_<KEY>, above the file and below the flags. The
// environment is passed in; nothing here reads the process's own. One thread.
#pragma once

#include <string>
#include <vector>

#include "config/settings.h"

namespace tandem::config {

// Entries are NAME=VALUE, as environ(7) has them. Those that do not begin with MEMTANDEM_ are not
// looked at; an unknown one that does is an error, for it is most likely a misspelling. Lists are
// comma-separated; an empty value unsets an optional key.
//
// Kubernetes puts MEMTANDEM_SERVICE_HOST, MEMTANDEM_PORT=tcp://... and the like into every
// container beside a Service called memtandem or memtandem-something; those are left alone.
void read_environment(const std::vector<std::string>& entries, settings& into);

}  // namespace tandem::config
