// What a configuration with a memcached behind the node needs, and cannot have.
#include <string>
#include <vector>

#include "config/error.h"
#include "config/yaml.h"
#include "tests/unit/catch.h"

using namespace tandem::config;

namespace {

std::vector<std::string> errors(const std::string& yaml) {
  try {
    (void)load_yaml(yaml, "f.yaml");
  } catch (const config_error& e) {
    return e.messages();
  }
  return {};
}

}  // namespace

TEST_CASE("a backend is a path, or a host with a port") {
  const std::string engine = "cache: {engine: memcached}\n";
  REQUIRE(errors(engine + "backend: {address: /run/m.sock}").empty());
  REQUIRE(errors(engine + "backend: {address: 'localhost:11311', timeout: 50ms}").empty());
  REQUIRE(errors(engine) ==
          std::vector<std::string>{"f.yaml:1:17: cache.engine: memcached needs backend.address"});
  REQUIRE(errors(engine + "backend: {address: localhost}").size() == 1);
  REQUIRE(errors(engine + "backend: {address: 'a:b:c'}").size() == 1);
  REQUIRE(errors("cache: {engine: redis}").size() == 1);
}

TEST_CASE("every mode of replication goes with a memcached behind") {
  const std::string stock =
      "cache: {engine: memcached}\nbackend: {address: /run/m.sock}\nreplication: {";
  REQUIRE(errors(stock + "writes: master}").empty());
  REQUIRE(errors(stock + "while_syncing: read_through}").empty());
  REQUIRE(errors(stock + "ack: sync}").empty());
}
