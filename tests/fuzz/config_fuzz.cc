// Any bytes as a YAML file: the loader throws config_error or gives options that --print-config
// writes so that they load back to the same.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "config/error.h"
#include "config/print.h"
#include "config/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tandem::config;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  settings read;
  try {
    read_yaml(text, "fuzz", read);
    read.finish();
  } catch (const config_error& e) {
    CHECK(!e.messages().empty() && e.messages().size() <= settings::errors_max + 1);
    return 0;
  }
  const std::vector<origin> origins(schema().size());
  CHECK(load_yaml(config_yaml(read.opts(), origins), "printed") == read.opts());
  return 0;
}
