// What loading a text as the configuration file f.yaml has to say against it.
#pragma once

#include <string>
#include <vector>

#include "config/error.h"
#include "config/yaml.h"

namespace tandem::test {

inline std::vector<std::string> yaml_errors(const std::string& yaml) {
  try {
    config::load_yaml(yaml, "f.yaml");
  } catch (const config::config_error& e) {
    return e.messages();
  }
  return {};
}

}  // namespace tandem::test
