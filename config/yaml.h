// The YAML file: sections of keys, read by the table in config/schema.h. All that is wrong is found
// in one reading; each complaint is "FILE:LINE:COL: text", counted from 1. One thread.
#pragma once

#include <string>
#include <string_view>

#include "config/options.h"
#include "config/settings.h"

namespace tandem::config {

// Reads a text into `into`, complaints included; `name` stands for FILE. An empty text sets
// nothing.
void read_yaml(std::string_view text, const std::string& name, settings& into);
// The same for a file, which may be unreadable.
void read_yaml_file(const std::string& path, settings& into);

// Defaults, then the text or the file. Throws config_error.
options load_yaml(std::string_view text, const std::string& name);
options load_yaml_file(const std::string& path);

}  // namespace tandem::config
