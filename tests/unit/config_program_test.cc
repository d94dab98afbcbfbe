// Programs as values: a path and arguments, in a list or as words of a text.
#include <string>
#include <vector>

#include "config/error.h"
#include "config/flags.h"
#include "config/yaml.h"
#include "tests/unit/catch.h"

using namespace tandem::config;

namespace {

using words = std::vector<std::string>;

words pre_promote(const std::string& value) {
  return load_yaml("hooks:\n  pre_promote: " + value + "\n", "f.yaml").hooks.pre_promote;
}

std::string complaint(const std::string& value) {
  try {
    (void)pre_promote(value);
  } catch (const config_error& e) {
    REQUIRE(e.messages().size() == 1);
    return e.messages()[0];
  }
  return "";
}

}  // namespace

TEST_CASE("a program is a list of words, or a text that is cut at spaces") {
  REQUIRE(pre_promote("[]").empty());
  REQUIRE(pre_promote("/bin/true") == words{"/bin/true"});
  REQUIRE(pre_promote("/sbin/x  take 10.0.0.1 ") == words{"/sbin/x", "take", "10.0.0.1"});
  REQUIRE(pre_promote("[/bin/sh, -c, 'echo \"$0\" , two']") ==
          words{"/bin/sh", "-c", "echo \"$0\" , two"});
  const char* argv[] = {"memtandem"};
  const auto line = parse_command_line(
      1, argv,
      {"MEMTANDEM_HOOKS_POST_DEMOTE=/bin/x y", "MEMTANDEM_ROLE=MASTER", "MEMTANDEM_TERM=2"});
  REQUIRE(line.opts.hooks.post_demote == words{"/bin/x", "y"});
}

TEST_CASE("a program that is none is told with its place") {
  REQUIRE(
      complaint("may-lead") ==
      "f.yaml:2:16: hooks.pre_promote: 'may-lead' is not an absolute path (allowed: a program's "
      "absolute path and its arguments, at most 64 words in all)");
  REQUIRE(complaint("[bin/x, /y]").find("'bin/x' is not an absolute path") != std::string::npos);
  REQUIRE(complaint("[/x, [y]]")
              .find("f.yaml:2:21: hooks.pre_promote: expected a word, found a list") == 0);
  REQUIRE(complaint("{a: b}").find("expected a list of words") != std::string::npos);
  REQUIRE(complaint("[/x, \"a\\x01b\"]").find("control character") != std::string::npos);
  std::string many = "[/x";
  for (int i = 0; i < 64; ++i) many += ", a";
  REQUIRE(complaint(many + "]").find("65 words are too many") != std::string::npos);
}
