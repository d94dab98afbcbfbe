// What a YAML file must not contain: each mistake with the place and the words that report it.
#include <string>
#include <vector>

#include "config/error.h"
#include "config/yaml.h"
#include "tests/unit/catch.h"
#include "tests/unit/yaml_errors.h"

using namespace tandem::config;
using tandem::test::yaml_errors;

namespace {

struct mistake {
  std::string yaml;
  std::string message;
};

void refused(const std::vector<mistake>& mistakes) {
  for (const mistake& m : mistakes) {
    INFO(m.yaml);
    REQUIRE(yaml_errors(m.yaml) == std::vector{m.message});
  }
}

}  // namespace

TEST_CASE("a misspelled or misplaced key is named with the nearest one") {
  refused({
      {"repliction:\n  port: 5\n",
       "f.yaml:1:1: unknown section 'repliction' (did you mean 'replication'?)"},
      {"replication:\n  perr: b\n",
       "f.yaml:2:3: unknown key 'perr' in 'replication' (did you mean 'peer'?)"},
      {"listen:\n  peer: b\n",
       "f.yaml:2:3: unknown key 'peer' in 'listen' ('peer' belongs under 'replication')"},
      {"peer: b\n", "f.yaml:1:1: unknown section 'peer' ('peer' belongs under 'replication')"},
      {"port: 5\n",
       "f.yaml:1:1: unknown section 'port' ('port' belongs under 'listen', 'replication' or "
       "'admin')"},
      {"log:\n  port: 5\n",
       "f.yaml:2:3: unknown key 'port' in 'log' ('port' belongs under 'listen', 'replication' or "
       "'admin')"},
      {"replication.peer: b\n",
       "f.yaml:1:1: unknown section 'replication.peer' (write 'peer' on a line of its own under "
       "'replication')"},
      {"zzzzzz: 1\n",
       "f.yaml:1:1: unknown section 'zzzzzz' (sections: listen, tls, auth, commands, cache, "
       "backend, workers, replication, control, admin, hooks, log, process)"},
      {"listen:\n  zzzzzzzz: 1\n",
       "f.yaml:2:3: unknown key 'zzzzzzzz' in 'listen' (keys: addresses, port, tcp, "
       "unix_socket, unix_mask, backlog, connections_max, reject_at_limit, idle_timeout, "
       "write_timeout, reuse_port)"},
      {"memory: 64MiB\n", "f.yaml:1:1: unknown section 'memory' ('memory' belongs under 'cache')"},
      {"cache:\n  memroy: 64MiB\n",
       "f.yaml:2:3: unknown key 'memroy' in 'cache' (did you mean 'memory'?)"},
      {"cache:\n  journl: 64MiB\n",
       "f.yaml:2:3: unknown key 'journl' in 'cache' (did you mean 'journal', under "
       "'replication'?)"},
      {"cache:\n  Memory: 64MiB\n",
       "f.yaml:2:3: unknown key 'Memory' in 'cache' (did you mean 'memory'?)"},
      {"process:\n  pid-file: /x\n",
       "f.yaml:2:3: unknown key 'pid-file' in 'process' (did you mean 'pid_file'?)"},
  });
}

TEST_CASE("a value of the wrong unit, type or range is shown with what is allowed") {
  refused({
      {"cache:\n  memory: 64\n",
       "f.yaml:2:11: cache.memory: '64' needs a unit, such as 64MiB (allowed: 1MiB..16TiB)"},
      {"cache:\n  memory: lots\n",
       "f.yaml:2:11: cache.memory: 'lots' is not a size such as 64MiB (allowed: 1MiB..16TiB)"},
      {"cache:\n  memory: 64 parsecs\n",
       "f.yaml:2:11: cache.memory: '64 parsecs' has the unknown unit 'parsecs' (units: B, KiB or "
       "k, MiB or m, GiB or g, TiB or t)"},
      {"cache:\n  memory: 1KiB\n",
       "f.yaml:2:11: cache.memory: 1KiB is out of range (allowed: 1MiB..16TiB)"},
      {"cache:\n  memory: 17TiB\n",
       "f.yaml:2:11: cache.memory: 17TiB is out of range (allowed: 1MiB..16TiB)"},
      {"cache:\n  memory: 99999999999999999999MiB\n",
       "f.yaml:2:11: cache.memory: '99999999999999999999MiB' is out of range (allowed: "
       "1MiB..16TiB)"},
      {"cache:\n  memory: 9999999999999999MiB\n",
       "f.yaml:2:11: cache.memory: '9999999999999999MiB' is out of range (allowed: 1MiB..16TiB)"},
      {"cache:\n  memory: 1.5GiB\n",
       "f.yaml:2:11: cache.memory: '1.5GiB' is not a size such as 64MiB (allowed: 1MiB..16TiB)"},
      {"cache:\n  memory: -1MiB\n",
       "f.yaml:2:11: cache.memory: '-1MiB' is not a size such as 64MiB (allowed: 1MiB..16TiB)"},
      {"cache:\n  item_size_max: 2GiB\n",
       "f.yaml:2:18: cache.item_size_max: 2GiB is out of range (allowed: 1KiB..1GiB)"},
      {"cache:\n  evict: maybe\n",
       "f.yaml:2:10: cache.evict: 'maybe' is neither true nor false (allowed: true or false)"},
      {"cache:\n  evict: 1\n",
       "f.yaml:2:10: cache.evict: '1' is neither true nor false (allowed: true or false)"},
      {"listen:\n  port: eleven\n",
       "f.yaml:2:9: listen.port: 'eleven' is not a whole number (allowed: 1..65535)"},
      {"listen:\n  port: 0\n", "f.yaml:2:9: listen.port: 0 is out of range (allowed: 1..65535)"},
      {"listen:\n  port: 65536\n",
       "f.yaml:2:9: listen.port: 65536 is out of range (allowed: 1..65535)"},
      {"listen:\n  port: -1\n",
       "f.yaml:2:9: listen.port: '-1' is out of range (allowed: 1..65535)"},
      {"listen:\n  port: 99999999999999999999\n",
       "f.yaml:2:9: listen.port: '99999999999999999999' is out of range (allowed: 1..65535)"},
      {"listen:\n  port: 0x1F\n",
       "f.yaml:2:9: listen.port: '0x1F' is not a whole number (allowed: 1..65535)"},
      {"listen:\n  port: [1, 2]\n",
       "f.yaml:2:9: listen.port: expected a whole number (allowed: 1..65535), found a list"},
      {"listen:\n  port: {a: 1}\n",
       "f.yaml:2:9: listen.port: expected a whole number (allowed: 1..65535), found a map"},
      {"listen:\n  port:\n",
       "f.yaml:2:3: listen.port: has no value; expected a whole number (allowed: 1..65535)"},
      {"listen:\n  port: ~\n  backlog: 5\n",
       "f.yaml:2:3: listen.port: has no value; expected a whole number (allowed: 1..65535)"},
      {"listen:\n  backlog: 70000\n",
       "f.yaml:2:12: listen.backlog: 70000 is out of range (allowed: 1..65535)"},
      {"listen:\n  connections_max: 0\n",
       "f.yaml:2:20: listen.connections_max: 0 is out of range (allowed: 1..1048576)"},
      {"workers:\n  threads: 257\n",
       "f.yaml:2:12: workers.threads: 257 is out of range (allowed: 0..256)"},
      {"workers:\n  requests_per_event: 0\n",
       "f.yaml:2:23: workers.requests_per_event: 0 is out of range (allowed: 1..100000)"},
      {"replication:\n  dead_after: 1000\n",
       "f.yaml:2:15: replication.dead_after: '1000' needs a unit, such as 1s (allowed: 20ms..10m)"},
      {"replication:\n  dead_after: 1 fortnight\n",
       "f.yaml:2:15: replication.dead_after: '1 fortnight' has the unknown unit 'fortnight' "
       "(units: ms, s, m, h)"},
      {"replication:\n  dead_after: soon\n",
       "f.yaml:2:15: replication.dead_after: 'soon' is not a duration such as 1s (allowed: "
       "20ms..10m)"},
      {"replication:\n  dead_after: 11m\n",
       "f.yaml:2:15: replication.dead_after: 11m is out of range (allowed: 20ms..10m)"},
      {"replication:\n  journal: 1KiB\n",
       "f.yaml:2:12: replication.journal: 1KiB is out of range (allowed: 0 or 64KiB..16GiB)"},
      {"replication:\n  node_id: 8\n",
       "f.yaml:2:12: replication.node_id: 8 is out of range (allowed: 0..7)"},
      {"replication:\n  cluster: \"\"\n",
       "f.yaml:2:12: replication.cluster: '' has 0 bytes (allowed: 1..64 bytes)"},
      {"replication:\n  cluster: "
       "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"\n",
       "f.yaml:2:12: replication.cluster: "
       "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' has 65 bytes (allowed: "
       "1..64 bytes)"},
      {"replication:\n  cluster: \"a\\nb\"\n",
       "f.yaml:2:12: replication.cluster: 'a?b' contains a control character"},
      {"log:\n  verbosity: 3\n", "f.yaml:2:14: log.verbosity: 3 is out of range (allowed: 0..2)"},
      {"process:\n  daemonize: 2\n",
       "f.yaml:2:14: process.daemonize: '2' is neither true nor false (allowed: true or false)"},
  });
}

TEST_CASE("keys that contradict each other are reported at the one to change") {
  refused({
      {"replication:\n  heartbeat_interval: 2s\n",
       "f.yaml:2:23: replication.dead_after (1s) must be longer than "
       "replication.heartbeat_interval (2s)"},
      {"replication:\n  heartbeat_interval: 300ms\n  dead_after: 300ms\n",
       "f.yaml:3:15: replication.dead_after (300ms) must be longer than "
       "replication.heartbeat_interval (300ms)"},
      {"replication:\n  reconnect_delay_min: 5s\n",
       "f.yaml:2:24: replication.reconnect_delay_min (5s) must not be longer than "
       "replication.reconnect_delay_max (1s)"},
      {"replication:\n  reconnect_delay_max: 50ms\n",
       "f.yaml:2:24: replication.reconnect_delay_min (100ms) must not be longer than "
       "replication.reconnect_delay_max (50ms)"},
      {"cache:\n  item_size_max: 128MiB\n",
       "f.yaml:2:18: cache.item_size_max (128MiB) must not be larger than cache.memory (64MiB)"},
      {"cache:\n  memory: 1MiB\n  item_size_max: 2MiB\n",
       "f.yaml:3:18: cache.item_size_max (2MiB) must not be larger than cache.memory (1MiB)"},
      {"replication:\n  journal: 64MiB\n",
       "f.yaml:2:12: replication.journal (64MiB) must be smaller than cache.memory (64MiB)"},
      {"listen:\n  addresses: [10.0.0.1, \"10.0.0.1:11211\"]\n",
       "f.yaml:2:14: listen.addresses: '10.0.0.1:11211' is listed twice"},
      {"listen:\n  port: 11212\n",
       "f.yaml:2:9: listen.port: port 11212 would be opened both for clients and for the link: "
       "change listen.port or replication.port"},
      {"replication:\n  port: 11211\n",
       "f.yaml:2:9: replication.port: port 11211 would be opened both for clients and for the "
       "link: change listen.port or replication.port"},
      {"listen:\n  addresses: [127.0.0.1]\nreplication:\n  listen_port: 11211\n",
       "f.yaml:4:16: replication.listen_port: port 11211 would be opened both for clients and for "
       "the link: change listen.port or replication.listen_port"},
  });
}

TEST_CASE("an address that cannot be one says why") {
  refused({
      {"replication:\n  peer: [a, b]\n",
       "f.yaml:2:9: replication.peer: expected an address (allowed: HOST, HOST:PORT, IPV6 or "
       "[IPV6]:PORT), found a list"},
      {"replication:\n  peer: a b\n",
       "f.yaml:2:9: replication.peer: 'a b' is not an address: not a host name (allowed: HOST, "
       "HOST:PORT, IPV6 or [IPV6]:PORT)"},
      {"replication:\n  peer: host:0\n",
       "f.yaml:2:9: replication.peer: 'host:0' is not an address: the port must be 1..65535 "
       "(allowed: HOST, HOST:PORT, IPV6 or [IPV6]:PORT)"},
      {"replication:\n  peer: host:99999\n",
       "f.yaml:2:9: replication.peer: 'host:99999' is not an address: the port must be 1..65535 "
       "(allowed: HOST, HOST:PORT, IPV6 or [IPV6]:PORT)"},
      {"replication:\n  peer: \"[::1\"\n",
       "f.yaml:2:9: replication.peer: '[::1' is not an address: ']' is missing (allowed: HOST, "
       "HOST:PORT, IPV6 or [IPV6]:PORT)"},
      {"replication:\n  peer: \"[::1]11212\"\n",
       "f.yaml:2:9: replication.peer: '[::1]11212' is not an address: only :PORT may follow ']' "
       "(allowed: HOST, HOST:PORT, IPV6 or [IPV6]:PORT)"},
      {"replication:\n  peer: \"[host]:5\"\n",
       "f.yaml:2:9: replication.peer: '[host]:5' is not an address: only an IPv6 address stands in "
       "brackets (allowed: HOST, HOST:PORT, IPV6 or [IPV6]:PORT)"},
      {"replication:\n  peer: 256.0.0.1\n",
       "f.yaml:2:9: replication.peer: '256.0.0.1' is not an address: not an IPv4 address (allowed: "
       "HOST, HOST:PORT, IPV6 or [IPV6]:PORT)"},
      {"replication:\n  peer: \":5\"\n",
       "f.yaml:2:9: replication.peer: ':5' is not an address: the host is missing (allowed: HOST, "
       "HOST:PORT, IPV6 or [IPV6]:PORT)"},
      {"replication:\n  peer: 1:2:3\n",
       "f.yaml:2:9: replication.peer: '1:2:3' is not an address: not an IPv6 address (and a port "
       "is written [IPV6]:PORT) (allowed: HOST, HOST:PORT, IPV6 or [IPV6]:PORT)"},
      {"replication:\n  peer: [::1]:11212\n",
       "f.yaml:2:14: not valid YAML: wrong indentation, or a line that is not 'key: value'"},
      {"replication:\n  listen_addresses: [10.0.0.1, \"bad host\"]\n",
       "f.yaml:2:32: replication.listen_addresses: 'bad host' is not an address: not a host name "
       "(allowed: HOST, HOST:PORT, IPV6 or [IPV6]:PORT)"},
      {"listen:\n  addresses: [10.0.0.1, [::1]]\n",
       "f.yaml:2:25: listen.addresses: expected an address, found a list (an address with ':' or "
       "'[' at its start needs quotes)"},
      {"listen:\n  addresses:\n    host: a\n",
       "f.yaml:3:5: listen.addresses: expected a list of addresses (allowed: at most 64 of HOST, "
       "HOST:PORT, IPV6 or [IPV6]:PORT), found a map"},
  });
}

TEST_CASE("wrong nesting and duplicates are errors") {
  refused({
      {"listen: 11211\n",
       "f.yaml:1:9: 'listen' is a section: its keys (addresses, port, tcp, unix_socket, unix_mask, "
       "backlog, connections_max, reject_at_limit, idle_timeout, write_timeout, reuse_port) go "
       "below it, indented; found a single value"},
      {"listen:\n  - port: 1\n",
       "f.yaml:2:3: 'listen' is a section: its keys (addresses, port, tcp, unix_socket, unix_mask, "
       "backlog, connections_max, reject_at_limit, idle_timeout, write_timeout, reuse_port) go "
       "below it, indented; found a list"},
      {"- listen\n",
       "f.yaml:1:1: the file must consist of sections (listen, tls, auth, commands, cache, "
       "backend, workers, replication, control, admin, hooks, log, process), not of a list"},
      {"just text\n",
       "f.yaml:1:1: the file must consist of sections (listen, tls, auth, commands, cache, "
       "backend, workers, replication, control, admin, hooks, log, process), not of a single "
       "value"},
      {"listen:\n  port: 1\n  port: 2\n",
       "f.yaml:3:3: duplicate key 'port' in 'listen' (the first is on line 2)"},
      {"listen:\n  port: 1\nlog:\n  verbosity: 1\nlisten:\n  backlog: 2\n",
       "f.yaml:5:1: duplicate key 'listen' (the first is on line 1)"},
  });
}

TEST_CASE("what is no YAML, or more than we read, is refused at its place") {
  refused({
      {"listen:\n\tport: 1\n", "f.yaml:2:1: a tab in the indentation: YAML takes spaces only"},
      {"listen:\n  port: 1\n \tbacklog: 2\n",
       "f.yaml:3:2: a tab in the indentation: YAML takes spaces only"},
      {"listen:\n    port: 1\n  backlog: 2\n",
       "f.yaml:3:3: not valid YAML: wrong indentation, or a line that is not 'key: value'"},
      {"listen:\n  port: 1\n  backlog\n",
       "f.yaml:3:3: listen.backlog: has no value; expected a whole number (allowed: 1..65535)"},
      {"listen:\n  port: 1: 2\n",
       "f.yaml:2:10: not valid YAML: a misplaced ':' (quote a value that contains one)"},
      {"listen:\n  addresses: [a, b\n",
       "f.yaml:3:1: not valid YAML: a list opened with '[' is not closed"},
      {"listen: {port: 1\n", "f.yaml:2:1: not valid YAML: a map opened with '{' is not closed"},
      {"log:\n  file: \"/var/log/x\nlisten:\n  port: 5\n",
       "f.yaml:2:9: the quotation is not closed on its line"},
      {"log:\n  file: |\n    x\n", "f.yaml:2:9: a text must stand on one line, plain or in quotes"},
      {"log:\n  file: @x\n",
       "f.yaml:2:9: not valid YAML: no value may begin with this character: quote it"},
      {"listen:\n  port: &p 1\nreplication:\n  port: *p\n",
       "f.yaml:4:9: aliases are not accepted: write the value out"},
      {"listen:\n  port: *p\n", "f.yaml:2:9: not valid YAML: the referenced anchor is not defined"},
      {"listen:\n  port: !!int 1\n", "f.yaml:2:9: tags are not accepted"},
      {"listen:\n  port: 1\n---\nlisten:\n  port: 2\n",
       "f.yaml:4:1: a second document: one is read"},
      {"listen:\n  ? [a]\n  : 1\n", "f.yaml:2:5: a key must be a name, not a list"},
      {"listen:\n  <<: 1\n",
       "f.yaml:2:3: unknown key '<<' in 'listen' (keys: addresses, port, tcp, unix_socket, "
       "unix_mask, "
       "backlog, connections_max, reject_at_limit, idle_timeout, write_timeout, reuse_port)"},
      {"listen:\n  port: 1\x01"
       "\n",
       "f.yaml:2:10: a control character"},
      {"# \xff"
       "\nlisten:\n",
       "f.yaml:1:1: the line is not UTF-8"},
  });
}

TEST_CASE("all errors of a file are reported at once") {
  REQUIRE(
      yaml_errors("listen:\n  port: 0\n  prot: 5\ncache:\n  memory: 64\nbogus: 1\nreplication:\n "
                  " heartbeat_interval: 1m\n  dead_after: 1s\n") ==
      std::vector<std::string>{
          "f.yaml:2:9: listen.port: 0 is out of range (allowed: 1..65535)",
          "f.yaml:3:3: unknown key 'prot' in 'listen' (did you mean 'port'?)",
          "f.yaml:5:11: cache.memory: '64' needs a unit, such as 64MiB (allowed: 1MiB..16TiB)",
          "f.yaml:6:1: unknown section 'bogus' (sections: listen, tls, auth, commands, cache, "
          "backend, workers, replication, control, admin, hooks, "
          "log, process)",
          "f.yaml:9:15: replication.dead_after (1s) must be longer than "
          "replication.heartbeat_interval (1m)"});
}
