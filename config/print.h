// The texts that the tables turn into: the configuration in effect, the sample file, the help, and
// the two that stand beside it. Pure; any thread. All end in a line break.
#pragma once

#include <string>
#include <vector>

#include "config/options.h"
#include "config/settings.h"

namespace tandem::config {

// All keys as YAML that loads back to the same options, each with a comment that says where its
// value came from; one thing is added: `insecure: true` where flags name a peer off this host.
// `origins` is in the order of schema().
std::string config_yaml(const options& effective, const std::vector<origin>& origins);

// config/memtandem.sample.yaml, which is this text: every key with its description, range, default
// and other names. A key that is unset by default stands there commented out.
std::string sample_yaml();

std::string help_text();  // at most 79 columns
std::string version_text();
std::string license_text();

}  // namespace tandem::config
