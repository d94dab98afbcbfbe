// Logging in: what memcached 1.6.45 answers with -Y, to the byte and at every fragment size; the
// file of users; and what the configuration forbids to clients.
#include <string>
#include <vector>

#include "common/service/credentials.h"
#include "common/service/stats.h"
#include "tests/unit/catch.h"
#include "tests/unit/service_client.h"

using namespace tandem;
using namespace tandem::test;
using namespace std::literals;
using service::credentials;

namespace {

const std::string refused = "CLIENT_ERROR unauthenticated\r\n";

struct login_row {
  std::string sent;
  std::string expected;
  bool closes = false;
};

service::connection_limits with_login() {
  service::connection_limits limits;
  limits.authenticate = true;
  return limits;
}

void log_in(const login_row& r, std::size_t piece) {
  client c(small_store(), with_login());
  c.host.users = credentials::parse("foo:bar\nbaaaz:quux").users;
  const std::string replies = c.send(r.sent, piece);
  CAPTURE(r.sent, piece);
  REQUIRE(replies == r.expected);
  REQUIRE(c.connection.wants_close() == r.closes);
}

void log_in_at_every_size(const std::vector<login_row>& rows) {
  for (const login_row& r : rows) {
    const std::size_t step = r.sent.size() > 600 ? 997 : 1;
    for (std::size_t piece = 1; piece <= r.sent.size(); piece += step) log_in(r, piece);
    log_in(r, r.sent.size());
  }
}

}  // namespace

TEST_CASE("before a login every command is refused, and short ones close") {
  log_in_at_every_size({
      {"get xyz\r\n", refused},
      {"version\r\n", refused},
      {"get x\r\nmn\r\n", refused, true},
      {"quit\r\n", "", true},
      {"\r\n", "", true},
      {"stats\r\nstats\r\n", refused + refused},
      {"set a b c\r\n", refused},
      {"set a 0 0 -1\r\n", refused},
      {"set a 0 0 x\r\n", refused},
      {"add a 0 0 7\r\nfoo bar\r\n", refused + refused},
      {"get " + std::string(3000, 'x'), "", true},
      {"get " + std::string(2043, 'x') + "\n", refused},
      {"get " + std::string(2044, 'x') + "\r\n", "", true},
  });
}

TEST_CASE("a set with a user and his password opens the connection") {
  log_in_at_every_size({
      {"set x 0 0 7\r\nfoo bar\r\nset y 0 0 2\r\nhi\r\nget y\r\n",
       "STORED\r\nSTORED\r\n" + hit("y", "hi") + "END\r\n"},
      {"set x 0 0 10\r\nbaaaz quux\r\nget x\r\n", "STORED\r\nEND\r\n"},
      {"set x 0 0 7\nfoo bar\r\nget x\n", "STORED\r\nEND\r\n"},
      {"set  x  1  2  7  noreply\r\nfoo bar\r\nversion\r\n",
       "STORED\r\nVERSION "s + std::string(service::version_text) + "\r\n"},
      {"sets x 0 0 7\r\nfoo bar\r\nget x\r\n", "STORED\r\nEND\r\n"},
  });
}

TEST_CASE("a wrong token is refused, and another may be tried") {
  const std::string failure = "CLIENT_ERROR authentication failure\r\n";
  const std::string bad_token = "CLIENT_ERROR bad authentication token format\r\n";
  log_in_at_every_size({
      {"set x 0 0 7\r\nfoo bad\r\n", failure},
      {"set x 0 0 8\r\nfoo bar \r\n", failure},
      {"set x 0 0 8\r\nfoo  bar\r\n", failure},
      {"set x 0 0 4\r\nfoo \r\n", failure},
      {"set x 0 0 8\r\nfoo quux\r\n", failure},
      {"set x 0 0 6\r\nfoobar\r\n", bad_token},
      {"set x 0 0 0\r\n\r\n", bad_token},
      {"set x 0 0 7\r\nfoo barXX", "CLIENT_ERROR bad command line termination\r\n"},
      {"set x 0 0 2147483646\r\n", "CLIENT_ERROR auth token too long\r\n"},
      {"set x 0 0 16385\r\n", "CLIENT_ERROR auth token too long\r\n"},
      {"set x 0 0 16384\r\n" + std::string(16384, 'x') + "\r\n", bad_token},
      {"set x 0 0 7\r\nfoo bad\r\nset x 0 0 7\r\nfoo bar\r\nget x\r\n",
       failure + "STORED\r\nEND\r\n"},
  });
}

TEST_CASE("logins are counted, and nothing is stored by one") {
  client c(small_store(), with_login());
  c.host.users = credentials::parse("foo:bar").users;
  c.send("set x 0 0 7\r\nfoo bad\r\n");
  c.send("set x 0 0 7\r\nfoo bar\r\n");
  REQUIRE(stat(c, "stats", "auth_cmds") == "2");
  REQUIRE(stat(c, "stats", "auth_errors") == "1");
  REQUIRE(stat(c, "stats", "curr_items") == "0");
}

TEST_CASE("the file of users is as memcached reads it") {
  const auto parsed = credentials::parse("foo:bar\r\nbaaaz:qu:ux \n:empty\nnobody:");
  REQUIRE(parsed.error.empty());
  REQUIRE(parsed.users.size() == 4);
  REQUIRE(parsed.users.accept("foo", "bar"));
  REQUIRE(parsed.users.accept("baaaz", "qu:ux "));
  REQUIRE(parsed.users.accept("", "empty"));
  REQUIRE(parsed.users.accept("nobody", ""));
  REQUIRE_FALSE(parsed.users.accept("foo", "Bar"));
  REQUIRE_FALSE(parsed.users.accept("foo", "qu:ux "));
  REQUIRE_FALSE(parsed.users.accept("foo", ""));
  REQUIRE_FALSE(parsed.users.accept("", ""));
}

TEST_CASE("a file of users that is none names the line") {
  REQUIRE(credentials::parse("a:b\n\nc:d\n").error == "line 2: not USER:PASSWORD");
  REQUIRE(credentials::parse("a:b\n# c\n").error == "line 2: not USER:PASSWORD");
  REQUIRE(credentials::parse("a:b\0\n"s).error == "line 1: not USER:PASSWORD");
  REQUIRE(credentials::parse("a:" + std::string(252, 'b')).error.empty());
  REQUIRE(credentials::parse("a:" + std::string(253, 'b')).error ==
          "line 1: longer than 254 bytes");
  REQUIRE(credentials::parse("").error == "it holds no USER:PASSWORD line");
}

TEST_CASE("users beyond the eighth are counted and not let in") {
  std::string text;
  for (int i = 0; i < 10; ++i) text += "u" + std::to_string(i) + ":p\n";
  const auto parsed = credentials::parse(text);
  REQUIRE(parsed.ignored == 2);
  REQUIRE(parsed.users.accept("u7", "p"));
  REQUIRE_FALSE(parsed.users.accept("u8", "p"));
}

TEST_CASE("what is not allowed is refused in memcached's words") {
  client c;
  c.host.allowed = {.flush_all = false, .shutdown = false, .dumps = false};
  c.send(set("k", "v"));
  REQUIRE(c.send("flush_all\r\n") == "CLIENT_ERROR flush_all not allowed\r\n");
  REQUIRE(c.send("flush_all noreply\r\n").empty());
  REQUIRE(c.host.flushes == std::vector<bool>{false, false});
  REQUIRE(c.send("get k\r\n") == hit("k", "v") + "END\r\n");
  REQUIRE(c.send("shutdown\r\n") == "SERVER_ERROR: shutdown not enabled\r\n");
  REQUIRE(c.send("shutdown foo\r\n") == "SERVER_ERROR: shutdown not enabled\r\n");
  REQUIRE(c.send("stats cachedump 1 0\r\n") == "CLIENT_ERROR stats cachedump not allowed\r\n");
  REQUIRE(c.send("stats detail on\r\n") == "CLIENT_ERROR stats detail not allowed\r\n");
  REQUIRE_FALSE(c.connection.wants_close());
}

TEST_CASE("a shutdown that is allowed ends the connection without an answer") {
  for (const std::string word : {"", " graceful"}) {
    client c;
    c.host.allowed.shutdown = true;
    REQUIRE(c.send("shutdown foo\r\n") == "CLIENT_ERROR invalid shutdown mode\r\n");
    REQUIRE(c.send("shutdown graceful now\r\n") == "CLIENT_ERROR invalid shutdown mode\r\n");
    REQUIRE(c.send("shutdown" + word + "\r\nget k\r\n").empty());
    REQUIRE(c.connection.wants_close());
    REQUIRE(c.host.shutdowns == std::vector<bool>{!word.empty()});
  }
}

TEST_CASE("certificates are loaded again by a command") {
  client c;
  REQUIRE(c.send("refresh_certs\r\n") == "Error TLS not enabled\r\n");
}
