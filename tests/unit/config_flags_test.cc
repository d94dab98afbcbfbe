// The command line, the environment, and what comes before what.
#include "config/flags.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "config/print.h"
#include "config/yaml.h"
#include "tests/unit/catch.h"

using namespace tandem::config;
using action = command_line::action;
using strings = std::vector<std::string>;

namespace {

command_line parse(const std::string& words, const strings& environment = {}) {
  std::istringstream in(words);
  strings args = {"memtandem"};
  for (std::string word; in >> word;) args.push_back(word == "''" ? "" : word);
  std::vector<const char*> argv;
  for (const std::string& arg : args) argv.push_back(arg.c_str());
  return parse_command_line(static_cast<int>(argv.size()), argv.data(), environment);
}

strings errors_of(const std::string& words, const strings& environment = {}) {
  try {
    parse(words, environment);
  } catch (const config_error& e) {
    return e.messages();
  }
  return {};
}

// A YAML file, gone with the object.
class yaml_file {
 public:
  explicit yaml_file(const std::string& text) {
    const int file = mkstemp(path_.data());
    REQUIRE(file >= 0);
    close(file);
    std::ofstream(path_) << text;
  }
  ~yaml_file() { unlink(path_.c_str()); }
  yaml_file(const yaml_file&) = delete;
  yaml_file& operator=(const yaml_file&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/tandem.XXXXXX";
};

}  // namespace

TEST_CASE("no arguments mean the defaults") {
  const command_line c = parse("");
  REQUIRE(c.opts == options{});
  REQUIRE(c.what == action::run);
  REQUIRE(c.warnings.empty());
  REQUIRE(c.config_file.empty());
}

TEST_CASE("Repcached's walk-through is understood") {
  options first;
  first.listen.addresses = {"127.0.0.1"};
  first.log.verbosity = 1;
  first.process = {.daemonize = true, .user = "root", .pid_file = "/tmp/m1.pid"};
  const command_line a = parse("-v -d -p 11211 -l 127.0.0.1 -u root -P /tmp/m1.pid");
  REQUIRE(a.opts == first);
  REQUIRE(a.warnings.empty());

  options second = first;
  second.listen.port = 21211;
  second.process.pid_file = "/tmp/m2.pid";
  second.replication.peer = endpoint{"127.0.0.1", 11212};
  const command_line b = parse("-v -d -p 21211 -l 127.0.0.1 -u root -x 127.0.0.1 -P /tmp/m2.pid");
  REQUIRE(b.opts == second);
  REQUIRE(b.warnings.empty());
  REQUIRE(b.source_of("replication.peer") == source::flag);
  REQUIRE(b.source_of("replication.port") == source::defaults);
}

TEST_CASE("long names, attached values and bundles mean the same as short flags") {
  const options o =
      parse(
          "-p 5 -l a,b:6 -U 0 -u me -P /p -d -vv -m 100 -M -c 7 -t 8 -b 9 -R 10 -I 2m -r -k "
          "-x h:1 -X 2 -q 8192 --replication-listen=c --replication-port=3 -B auto")
          .opts;
  REQUIRE(o == parse("--port=5 --listen a --listen=b:6 --udp-port 0 --user me --pidfile /p "
                     "--daemon --verbose --verbose --memory-limit 100 --disable-evictions "
                     "--conn-limit 7 --threads 8 --listen-backlog 9 --max-reqs-per-event 10 "
                     "--max-item-size 2048k --enable-coredumps --lock-memory --peer h:1 -X2 "
                     "--queue-length 8192 --replication-listen c --replication-port 3 "
                     "--protocol ascii")
                   .opts);
  REQUIRE(o == parse("-p5 -la,b:6 -U0 -ume -P/p -dvrkvM -m100 -c7 -t8 -b9 -R10 -I2097152 "
                     "-xh:1 -X2 -q8192 --replication-listen c --replication-port 3 -Bascii")
                   .opts);
  REQUIRE(o.listen.addresses == strings{"a", "b:6"});
  REQUIRE(o.cache.memory_bytes == std::size_t{100} << 20);
  REQUIRE(o.cache.item_size_max == 2 << 20);
  REQUIRE_FALSE(o.cache.evict);
  REQUIRE(o.replication.journal_bytes == 8192 * 264);
  REQUIRE(o.replication.port == 2);
  REQUIRE(o.replication.listen_port == 3);
  REQUIRE(o.replication.peer == endpoint{"h", 1});
  REQUIRE(o.replication.listen_addresses == strings{"c"});
}

TEST_CASE("of a flag given twice the last counts, and lists add up") {
  REQUIRE(parse("-p 1 -p 2").opts.listen.port == 2);
  REQUIRE(parse("-l a -p 1 -l b,c").opts.listen.addresses == strings{"a", "b", "c"});
  REQUIRE(parse("-l [::1] -l [::1]:5,::2").opts.listen.addresses ==
          strings{"[::1]", "[::1]:5", "::2"});
}

TEST_CASE("verbosity ends at two") {
  for (const auto& [words, level] : std::vector<std::pair<std::string, int>>{
           {"", 0}, {"-v", 1}, {"-vv", 2}, {"-v -v", 2}, {"-vvv", 2}, {"-vvvvv", 2}})
    REQUIRE(parse(words).opts.log.verbosity == level);
}

TEST_CASE("-X with a port is Repcached's, without one memcached's") {
  REQUIRE(parse("-X 5").opts.replication.port == 5);
  REQUIRE(parse("-X5").opts.replication.port == 5);
  REQUIRE(parse("-X 5").warnings.empty());
  REQUIRE(parse("-X 5").opts.commands.dumps == permission::allow);
  for (const std::string words : {"-X", "-X -p 5", "-p 5 -X"}) {
    const command_line c = parse(words);
    REQUIRE(c.opts.replication.port == 11212);
    REQUIRE(c.opts.commands.dumps == permission::deny);
    REQUIRE(c.warnings.empty());
  }
  REQUIRE(parse("-X -p 5").opts.listen.port == 5);
  REQUIRE(parse("-X -X 6").opts.replication.port == 6);
}

TEST_CASE("-W takes the watch command away") {
  REQUIRE(parse("").opts.commands.watch == permission::allow);
  for (const std::string words : {"-W", "--disable-watch"}) {
    REQUIRE(parse(words).opts.commands.watch == permission::deny);
    REQUIRE(parse(words).warnings.empty());
  }
}

TEST_CASE("sizes on the command line follow memcached") {
  REQUIRE(parse("-m 1").opts.cache.memory_bytes == 1 << 20);
  REQUIRE(parse("-m 2g").opts.cache.memory_bytes == std::size_t{2} << 30);
  REQUIRE(parse("-m 512MiB").opts.cache.memory_bytes == 512 << 20);
  REQUIRE(parse("-I 1024").opts.cache.item_size_max == 1024);
  REQUIRE(parse("-I 1024k").opts.cache.item_size_max == 1 << 20);
  REQUIRE(parse("-m 2048 -I 1g").opts.cache.item_size_max == 1 << 30);
  REQUIRE(parse("-q 1").opts.replication.journal_bytes == 64 << 10);
}

TEST_CASE("a flag without effect is accepted with a warning") {
  const command_line c = parse("-f 1.25 -n 48 -L -D : -e /f -N 2 -o modern,hashpower=20");
  REQUIRE(c.opts == options{});
  REQUIRE(c.warnings.size() == 8);
  for (const char* warning : {"-f: has no effect (there are no slab classes to grow)",
                              "-o modern: has no effect", "-o hashpower: has no effect"})
    REQUIRE(std::count(c.warnings.begin(), c.warnings.end(), warning) == 1);
}

TEST_CASE("a protection that is not offered stops the start") {
  for (const std::string words :
       {"-S", "--enable-sasl", "-o drop_privileges", "-o ext_path=/f:1G", "-o proxy_config=/f"}) {
    INFO(words);
    const strings errors = errors_of(words);
    REQUIRE(errors.size() == 1);
    REQUIRE(errors.front().find(": is not offered (") != std::string::npos);
  }
  REQUIRE(errors_of("-B binary") ==
          strings{"-B: the protocol 'binary' is not offered (allowed: ascii, auto)"});
  REQUIRE(errors_of("-U 11211") == strings{"-U: UDP is not offered (allowed: 0)"});
  REQUIRE(errors_of("-U off") == strings{"-U: UDP is not offered (allowed: 0)"});
}

TEST_CASE("-s closes TCP, unless the file or the environment says otherwise") {
  const options o = parse("-s /s -a 770").opts;
  REQUIRE(o.listen.unix_socket == "/s");
  REQUIRE(o.listen.unix_mask == 0770);
  REQUIRE_FALSE(o.listen.tcp);
  REQUIRE(parse("-s /s", {"MEMTANDEM_LISTEN_TCP=true"}).opts.listen.tcp);
  REQUIRE(parse("", {"MEMTANDEM_LISTEN_UNIX_SOCKET=/s"}).opts.listen.tcp);
  const yaml_file both("listen: {tcp: true}\n");
  REQUIRE(parse("-s /s --config " + both.path()).opts.listen.tcp);
}

TEST_CASE("extended options set their keys, in memcached's units") {
  const options o = parse(
                        "-o idle_timeout=3,ssl_wbuf_size=64 -o no_maxconns_fast,ssl_ciphers=A:B "
                        "-o ssl_verify_mode=3,ssl_min_version=0,ssl_keyformat=1 "
                        "-o idle_timeout=500ms -o write_timeout=7")
                        .opts;
  REQUIRE(o.listen.idle_timeout == std::chrono::milliseconds(500));
  REQUIRE(o.listen.write_timeout == std::chrono::seconds(7));
  REQUIRE_FALSE(o.listen.reject_at_limit);
  REQUIRE(o.tls.write_buffer == 64 << 10);
  REQUIRE(o.tls.ciphers == "A:B");
  REQUIRE(o.tls.verify == client_certificate::require);
  REQUIRE(o.tls.min_version == tls_version::tls1_0);
  REQUIRE(o.tls.format == key_format::pem);
  REQUIRE(parse("-o no_maxconns_fast,maxconns_fast").opts.listen.reject_at_limit);
  REQUIRE(parse("-o idle_timeout=3").source_of("listen.idle_timeout") == source::flag);
}

TEST_CASE("a client certificate that nothing can vouch for is warned of") {
  REQUIRE(parse("-l mtls:a -Z -o ssl_chain_cert=/c,ssl_verify_mode=2").warnings ==
          strings{"-o ssl_verify_mode: \"require\": no client has a good certificate while "
                  "tls.ca_file is missing",
                  "-l: 'mtls:a': no client has a good certificate while tls.ca_file is missing"});
  REQUIRE(parse("-l mtls:a -Z -o ssl_chain_cert=/c,ssl_ca_cert=/a").warnings.empty());
}

TEST_CASE("protecting the clients' port does not leave an open link behind") {
  REQUIRE(errors_of("-x 10.0.0.2").empty());
  REQUIRE(errors_of("-x 10.0.0.2 -Y /u").size() == 1);
  REQUIRE(errors_of("-x 10.0.0.2 -Z -o ssl_chain_cert=/c").size() == 1);
  REQUIRE(errors_of("-x 127.0.0.1 -Y /u").empty());
  REQUIRE(errors_of("-x 10.0.0.2 -Y /u", {"MEMTANDEM_REPLICATION_INSECURE=true"}).empty());
}

TEST_CASE("a wrong command line says what is wrong") {
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {"-p", "--port: needs a value"},
      {"--user= -d", "--user: the value after '=' is missing"},
      {"--verbose=3", "--verbose: takes no value"},
      {"-p 0", "-p: false leaves clients no way in: name listen.unix_socket"},
      {"--port 70000", "-p: 70000 is out of range (allowed: 1..65535)"},
      {"-p x", "-p: 'x' is not a whole number (allowed: 1..65535)"},
      {"-m -5", "-m: '-5' is not a size such as 64MiB (allowed: 1MiB..16TiB)"},
      {"-m 99999999999", "-m: 99999999999MiB is out of range (allowed: 1MiB..16TiB)"},
      {"-I 2000m", "-I: 2000m is out of range (allowed: 1KiB..1GiB)"},
      {"-I 1023", "-I: 1023B is out of range (allowed: 1KiB..1GiB)"},
      {"-q 0", "-q: '0' is not a queue length (allowed: 1..65075262 keys)"},
      {"-X v", "-X: 'v' is not a whole number (allowed: 1..65535)"},
      {"-l ''",
       "-l: '' is not an address: the host is missing (allowed: HOST, HOST:PORT, IPV6 or "
       "[IPV6]:PORT)"},
      {"-l proto[binary]:a",
       "-l: 'proto[binary]:a' is not an address: protocols and tags of single "
       "addresses are not offered (allowed: HOST, HOST:PORT, IPV6 or "
       "[IPV6]:PORT)"},
      {"-l notls:a", "-l: 'notls:a' names TLS, which is off (tls.enabled, -Z)"},
      {"-Z", "-Z: TLS needs tls.certificate_file (-o ssl_chain_cert=FILE)"},
      {"-Z -o ssl_chain_cert=/c -s /s", "-Z: TLS is for TCP, which listen.tcp switches off"},
      {"-s /s -a 800", "-a: '800' is not octal (allowed: 0..0777)"},
      {"-s /s -a 1777", "-a: 1777 is out of range (allowed: 0..0777)"},
      {"-o idle_timout=3",
       "-o idle_timout: unknown extended option (did you mean 'idle_timeout'?)"},
      {"-o zzz", "-o zzz: unknown extended option"},
      {"-o idle_timeout", "-o idle_timeout: needs a value"},
      {"-o maxconns_fast=1", "-o maxconns_fast: takes no value"},
      {"-o ssl_verify_mode=4",
       "-o ssl_verify_mode: '4' is none of its values (allowed: none, request, require)"},
      {"-o idle_timeout=-1",
       "-o idle_timeout: '-1' is not a duration such as 10m (allowed: 0 or "
       "10ms..720h)"},
      {"--perr h", "command line: unknown option '--perr' (did you mean '--peer'?)"},
      {"--perr=h", "command line: unknown option '--perr' (did you mean '--peer'?)"},
      {"-z", "command line: unknown option '-z' (-h lists them)"},
      {"stray", "command line: unexpected argument 'stray'"},
      {"-m 1 -I 2m", "-I: cache.item_size_max (2MiB) must not be larger than cache.memory (1MiB)"},
      {"-p 11212",
       "-p: port 11212 would be opened both for clients and for the link: change listen.port or "
       "replication.port"},
      {"--config a --config b", "--config: given 2 times: one file is read"},
      {"--config /none.yaml", "/none.yaml: cannot be read: No such file or directory"},
  };
  for (const auto& [words, message] : mistakes) {
    INFO(words);
    REQUIRE(errors_of(words) == strings{message});
  }
}

TEST_CASE("errors of all layers are reported together") {
  const yaml_file file("listen:\n  prot: 1\n");
  REQUIRE(errors_of("-t 300 --config " + file.path(), {"MEMTANDEM_CACHE_MEMORY=3"}) ==
          strings{file.path() + ":2:3: unknown key 'prot' in 'listen' (did you mean 'port'?)",
                  "MEMTANDEM_CACHE_MEMORY: '3' needs a unit, such as 64MiB (allowed: 1MiB..16TiB)",
                  "-t: 300 is out of range (allowed: 0..256)"});
}

TEST_CASE("flags come before the environment, that before the file, that before the defaults") {
  const yaml_file file("listen: {port: 1, backlog: 1, connections_max: 1}\n");
  const command_line c =
      parse("-p 3 --config " + file.path(),
            {"MEMTANDEM_LISTEN_PORT=2", "MEMTANDEM_LISTEN_BACKLOG=2", "HOME=/", "NOTHING"});
  REQUIRE(c.opts.listen.port == 3);
  REQUIRE(c.opts.listen.backlog == 2);
  REQUIRE(c.opts.listen.connections_max == 1);
  REQUIRE(c.opts.workers.requests_per_event == 20);
  REQUIRE(c.source_of("listen.port") == source::flag);
  REQUIRE(c.source_of("listen.backlog") == source::environment);
  REQUIRE(c.source_of("listen.connections_max") == source::file);
  REQUIRE(c.source_of("workers.requests_per_event") == source::defaults);
  REQUIRE(c.config_file == file.path());
}

TEST_CASE("every key has its variable, and an unknown one is an error") {
  for (const key& which : schema()) {
    INFO(which.variable());
    const std::string example(which.example);
    options wanted;
    which.set(wanted, parse_value(which, example).result);
    strings environment = {which.variable() + "=" + example};
    // So that an example alone contradicts no other default.
    environment.push_back("MEMTANDEM_CACHE_MEMORY=1GiB");
    wanted.cache.memory_bytes = 1 << 30;
    if (which.name == "memory") wanted.cache.memory_bytes = 64 << 20;
    if (which.name == "memory") environment.pop_back();
    if (which.path().starts_with("replication.tls_"))
      for (const char* path : {"replication.tls_certificate", "replication.tls_ca"})
        if (const key& other = key_at(path); &other != &which) {
          other.set(wanted, parse_value(other, other.example).result);
          environment.push_back(other.variable() + "=" + std::string(other.example));
        }
    for (const auto& [path, needed] : {std::pair{"admin.tls_key", "admin.tls_certificate"},
                                       std::pair{"cache.engine", "backend.address"}}) {
      if (which.path() != path) continue;
      const key& other = key_at(needed);
      other.set(wanted, parse_value(other, other.example).result);
      environment.push_back(other.variable() + "=" + std::string(other.example));
    }
    REQUIRE(parse("", environment).opts == wanted);
  }
  REQUIRE(errors_of("", {"MEMTANDEM_CACHE_MEMROY=1g", "MEMTANDEM_XYZ=1"}) ==
          strings{"MEMTANDEM_CACHE_MEMROY: unknown variable (did you mean "
                  "'MEMTANDEM_CACHE_MEMORY'?)",
                  "MEMTANDEM_XYZ: unknown variable (they are called MEMTANDEM_<SECTION>_<KEY>)"});
  REQUIRE(parse("", {"MEMTANDEM_REPLICATION_PEER="}).opts == options{});
  REQUIRE(parse("", {"MEMTANDEM_LISTEN_ADDRESSES=a, b"}).opts.listen.addresses ==
          strings{"a", "b"});
}

TEST_CASE("the variables of a Kubernetes Service called memtandem are left alone") {
  REQUIRE(parse("", {"MEMTANDEM_SERVICE_HOST=10.0.0.1", "MEMTANDEM_SERVICE_PORT=11211",
                     "MEMTANDEM_SERVICE_PORT_CACHE=11211", "MEMTANDEM_PORT=tcp://10.0.0.1:11211",
                     "MEMTANDEM_PORT_11211_TCP=tcp://10.0.0.1:11211",
                     "MEMTANDEM_PORT_11211_TCP_PROTO=tcp", "MEMTANDEM_PORT_11211_TCP_PORT=11211",
                     "MEMTANDEM_PORT_11211_TCP_ADDR=10.0.0.1",
                     "MEMTANDEM_REPLICATION_PORT=tcp://10.0.0.1:11212"})
              .opts == options{});
  REQUIRE(parse("", {"MEMTANDEM_REPLICATION_PORT=5"}).opts.replication.port == 5);
}
