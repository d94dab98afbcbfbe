// The forms of a clients' address, and of words and permissions.
#include <string>
#include <vector>

#include "config/error.h"
#include "config/text.h"
#include "config/yaml.h"
#include "tests/unit/catch.h"

using namespace tandem::config;

namespace {

struct read {
  endpoint where;
  listener_tls tls;
};
read good(const std::string& text) {
  INFO(text);
  listener one;
  REQUIRE(parse_listener(text, one).empty());
  return {one.where, one.tls};
}

std::string error_of(const std::string& yaml) {
  try {
    load_yaml(yaml, "f");
  } catch (const config_error& e) {
    return e.messages().front();
  }
  return "";
}

}  // namespace

TEST_CASE("a listener is an address, any address, and how TLS is done there") {
  REQUIRE(good("127.0.0.1:5").where == endpoint{"127.0.0.1", 5});
  REQUIRE(good("127.0.0.1").tls == listener_tls::common);
  REQUIRE(good("notls:[::1]:7").where == endpoint{"::1", 7});
  REQUIRE(good("notls:[::1]:7").tls == listener_tls::off);
  REQUIRE(good("btls:host").tls == listener_tls::basic);
  REQUIRE(good("mtls:host:1").tls == listener_tls::required);
  REQUIRE(good("*").where == endpoint{"", 0});
  REQUIRE(good("mtls:*:9").where == endpoint{"", 9});
}

TEST_CASE("what is no listener says why") {
  for (const std::string text : {"", "*x", "*:", "*:0", "*:65536", "notls:", "notls:notls:a",
                                 "proto[ascii]:a", "tag[x]:a", "tag_x_:a", "[::1"}) {
    INFO(text);
    listener one;
    REQUIRE_FALSE(parse_listener(text, one).empty());
  }
}

TEST_CASE("the same address twice is one too many, whatever is said of TLS") {
  const std::string tls = "tls: {enabled: true, certificate_file: /c}\n";
  REQUIRE(error_of(tls + "listen: {addresses: ['a:5', 'notls:a:5']}\n").find("listed twice") !=
          std::string::npos);
  REQUIRE(error_of(tls + "listen: {addresses: ['a:5', 'notls:a:6']}\n").empty());
}

TEST_CASE("a word that is none of a key's is told with the nearest") {
  REQUIRE(error_of("commands:\n  flush_all: alow\n") ==
          "f:2:14: commands.flush_all: 'alow' is none of its values (did you mean 'allow'?) "
          "(allowed: allow, deny)");
  REQUIRE(error_of("listen:\n  unix_mask: 0x1\n") ==
          "f:2:14: listen.unix_mask: '0x1' is not octal (allowed: 0..0777)");
}

TEST_CASE("without TCP there must be a UNIX socket") {
  REQUIRE(error_of("listen:\n  tcp: false\n") ==
          "f:2:8: listen.tcp: false leaves clients no way in: name listen.unix_socket");
  REQUIRE(error_of("listen:\n  tcp: false\n  unix_socket: /s\n").empty());
}
