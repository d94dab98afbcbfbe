// What a YAML file may contain, and the edges of reading one. What it may not:
// config_yaml_errors_test.cc.
#include "config/yaml.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/print.h"
#include "config/text.h"
#include "config/yaml_tree.h"
#include "tests/unit/catch.h"
#include "tests/unit/yaml_errors.h"

using namespace tandem::config;
using std::chrono::milliseconds;
using tandem::test::yaml_errors;

namespace {

// A folder of its own, gone with the object.
class scratch {
 public:
  scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "tandem.XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

std::string file_errors(const std::string& path) {
  try {
    load_yaml_file(path);
  } catch (const config_error& e) {
    return e.messages().front();
  }
  return "";
}

}  // namespace

TEST_CASE("a file without keys means the defaults") {
  for (const std::string yaml :
       {"", "\n", "# nothing\n", "---\n", "listen:\n", "listen: {}\ncache: ~\n", "\xef\xbb\xbf"})
    REQUIRE(load_yaml(yaml, "f.yaml") == options{});
}

TEST_CASE("every section's keys reach their options") {
  const options o = load_yaml(R"(
listen:
  addresses: [127.0.0.1, "::1", "[fe80::1%eth0]:11311", cache.example.org:5]
  port: 11311
  tcp: yes
  unix_socket: /run/m.sock
  unix_mask: 0660
  backlog: 7
  connections_max: 9
  reject_at_limit: no
  idle_timeout: 5m
  write_timeout: 9s
  reuse_port: yes
tls: {enabled: on, certificate_file: /c, key_file: /k, key_format: der, verify: request, ca_file: /a,
  ciphers: "HIGH:!aNULL", min_version: 1.3, session_cache: yes, kernel_tls: yes, write_buffer: 4k,
  handshake_timeout: 2s}
auth: {file: /u}
commands: {flush_all: deny, shutdown: Allow, dumps: deny, watch: deny}
cache: {memory: 2g, item_size_max: 512k, evict: off}
workers: {threads: 3, requests_per_event: 4}
replication:
  enabled: true
  peer: "[2001:db8::1]:5"
  listen_addresses:
    - 10.0.0.1
    - 10.0.0.2:6
  port: 7
  listen_port: 8
  cluster: blue sky
  node_id: 0
  journal: 1 MiB
  heartbeat_interval: 50ms
  dead_after: 2 s
  connect_timeout: 3s
  reconnect_delay_min: 20ms
  reconnect_delay_max: 1m
  join_timeout: 0
  takeover_grace: 90ms
  batch_interval: 0ms
  sync_rate: 1MiB
  compression: zstd
  clock_skew_warn: 2s
  audit_interval: 1h
  clock_skew_max: 1h
  ack: semisync
  ack_timeout: 3s
  handover_timeout: 4s
  on_demotion: close
  writes: master
  writes_prefixes: ["lock:", n]
  writes_on_partition: error
  while_syncing: serve
  insecure: TRUE
  secret_file: /s
  tls_certificate: /lc
  tls_key: /lk
  tls_ca: /la
  tls_peer_name: other.example.org
log: {verbosity: 2, file: 'it''s.log'}
process: {daemonize: true, user: "u", pid_file: /run/x.pid, core_dumps: true, lock_memory: true}
)",
                              "f.yaml");
  options wanted;
  wanted.listen = {.addresses = {"127.0.0.1", "::1", "[fe80::1%eth0]:11311", "cache.example.org:5"},
                   .port = 11311,
                   .tcp = true,
                   .unix_socket = "/run/m.sock",
                   .unix_mask = 0660,
                   .backlog = 7,
                   .connections_max = 9,
                   .reject_at_limit = false,
                   .idle_timeout = milliseconds(300000),
                   .write_timeout = milliseconds(9000),
                   .reuse_port = true};
  wanted.tls = {.enabled = true,
                .certificate_file = "/c",
                .key_file = "/k",
                .format = key_format::der,
                .verify = client_certificate::request,
                .ca_file = "/a",
                .ciphers = "HIGH:!aNULL",
                .min_version = tls_version::tls1_3,
                .session_cache = true,
                .kernel_tls = true,
                .write_buffer = 4 << 10,
                .handshake_timeout = milliseconds(2000)};
  wanted.auth = {.file = "/u"};
  wanted.commands = {.flush_all = permission::deny,
                     .shutdown = permission::allow,
                     .dumps = permission::deny,
                     .watch = permission::deny};
  wanted.cache = {.memory_bytes = std::size_t{2} << 30, .item_size_max = 512 << 10, .evict = false};
  wanted.workers = {.threads = 3, .requests_per_event = 4};
  wanted.replication = {.enabled = true,
                        .peer = endpoint{"2001:db8::1", 5},
                        .listen_addresses = {"10.0.0.1", "10.0.0.2:6"},
                        .port = 7,
                        .listen_port = 8,
                        .cluster = "blue sky",
                        .node_id = 0,
                        .journal_bytes = 1 << 20,
                        .heartbeat_interval = milliseconds(50),
                        .dead_after = milliseconds(2000),
                        .connect_timeout = milliseconds(3000),
                        .reconnect_delay_min = milliseconds(20),
                        .reconnect_delay_max = milliseconds(60000),
                        .join_timeout = milliseconds(0),
                        .takeover_grace = milliseconds(90),
                        .batch_interval = milliseconds(0),
                        .sync_rate = 1 << 20,
                        .compression = link_compression::zstd,
                        .clock_skew_warn = milliseconds(2000),
                        .audit_interval = milliseconds(3600000),
                        .clock_skew_max = milliseconds(3600000),
                        .ack = ack_mode::semisync,
                        .ack_timeout = milliseconds(3000),
                        .writes = writes_mode::master,
                        .writes_prefixes = {"lock:", "n"},
                        .writes_on_partition = partition_mode::error,
                        .while_syncing = syncing_mode::serve,
                        .handover_timeout = milliseconds(4000),
                        .on_demotion = demotion::close,
                        .insecure = true,
                        .secret_file = "/s",
                        .tls_certificate = "/lc",
                        .tls_key = "/lk",
                        .tls_ca = "/la",
                        .tls_peer_name = "other.example.org"};
  wanted.log = {.verbosity = 2, .file = "it's.log"};
  wanted.process = {.daemonize = true,
                    .user = "u",
                    .pid_file = "/run/x.pid",
                    .core_dumps = true,
                    .lock_memory = true};
  REQUIRE(o == wanted);
}

TEST_CASE("a list of addresses may be one text with commas") {
  const options o = load_yaml("listen:\n  addresses: 10.0.0.1, ::1\n", "f.yaml");
  REQUIRE(o.listen.addresses == std::vector<std::string>{"10.0.0.1", "::1"});
}

TEST_CASE("a peer without a port is reached at the replication port") {
  const auto peer = [](const std::string& yaml) {
    return load_yaml("replication:\n  insecure: true\n" + yaml, "f.yaml").replication.peer;
  };
  REQUIRE(peer("  peer: b\n") == endpoint{"b", 11212});
  REQUIRE(peer("  peer: b\n  port: 5\n") == endpoint{"b", 5});
  REQUIRE(peer("  peer: b:6\n  port: 5\n") == endpoint{"b", 6});
  REQUIRE(peer("  peer: ::1\n") == endpoint{"::1", 11212});
  REQUIRE(peer("  peer: ~\n") == std::nullopt);
  REQUIRE(peer("  peer:\n") == std::nullopt);
}

TEST_CASE("ports may be equal where the addresses differ, or where there is no link") {
  REQUIRE(yaml_errors("listen:\n  port: 11212\nreplication:\n  enabled: false\n").empty());
  REQUIRE(yaml_errors("listen:\n  port: 11212\n  addresses: [10.0.0.1]\n"
                      "replication:\n  listen_addresses: [10.0.0.2]\n")
              .empty());
  REQUIRE(yaml_errors("listen:\n  addresses: ['10.0.0.1:11212']\n") ==
          std::vector<std::string>{"f.yaml:2:14: listen.addresses: port 11212 would be opened both "
                                   "for clients and for the link: change listen.port or "
                                   "replication.port"});
}

TEST_CASE("carriage returns and a byte order mark change no place") {
  REQUIRE(
      yaml_errors("\xef\xbb\xbflisten:\r\n  port: 0\r\n") ==
      std::vector<std::string>{"f.yaml:2:9: listen.port: 0 is out of range (allowed: 1..65535)"});
}

TEST_CASE("errors beyond a hundred are counted") {
  std::string yaml = "listen:\n";
  for (int i = 0; i < 150; ++i) yaml += "  k" + std::to_string(i) + ": 1\n";
  const auto errors = yaml_errors(yaml);
  REQUIRE(errors.size() == settings::errors_max + 1);
  REQUIRE(errors.back() == "and 50 errors more");
}

TEST_CASE("a message stays on one line of bounded length whatever a key contains") {
  const auto errors = yaml_errors("listen:\n  \"a\\nb\": 1\n  " + std::string(1000, 'y') + ": 1\n");
  REQUIRE(errors.size() == 2);
  REQUIRE(errors[0].starts_with("f.yaml:2:3: unknown key 'a?b' in 'listen'"));
  REQUIRE(errors[1].size() <= settings::error_bytes_max + 3);
}

TEST_CASE("a file nested or grown beyond reason is refused") {
  const std::string deep(yaml_depth_max, '[');
  REQUIRE(yaml_errors("a: " + deep + std::string(yaml_depth_max, ']')) ==
          std::vector<std::string>{"f.yaml:1:19: nested too deeply"});
  REQUIRE(yaml_errors(std::string(100000, '[')).size() == 1);
  REQUIRE(yaml_errors("#" + std::string(yaml_bytes_max, 'x')) ==
          std::vector<std::string>{"f.yaml:1:1: larger than 1MiB"});
}

TEST_CASE("a file is read, and an unreadable one says why") {
  const scratch folder;
  const std::string path = folder.path("a.yaml");
  REQUIRE(file_errors(path) == path + ": cannot be read: No such file or directory");
  REQUIRE(file_errors(folder.path("")) == folder.path("") + ": cannot be read: Is a directory");
  std::ofstream(path) << "listen:\n  port: 5\n";
  REQUIRE(load_yaml_file(path).listen.port == 5);
  std::ofstream(path) << "listen:\n  prt: 5\n";
  REQUIRE(file_errors(path) == path + ":2:3: unknown key 'prt' in 'listen' (did you mean 'port'?)");
  std::ofstream(path) << std::string(yaml_bytes_max + 1, '#');
  REQUIRE(file_errors(path) == path + ":1:1: larger than 1MiB");
}

TEST_CASE("sizes and durations are written as they are read") {
  for (const std::int64_t bytes : {0L, 1L, 1023L, 1024L, 1536L, 1L << 20, 3L << 30, 16L << 40})
    REQUIRE(parse_size(format_size(bytes)).number == bytes);
  for (const std::int64_t ms : {0L, 1L, 999L, 1000L, 1500L, 60000L, 90000L, 3600000L, 86400000L})
    REQUIRE(parse_duration(format_duration(ms)).number == ms);
  REQUIRE(format_size(64 << 20) == "64MiB");
  REQUIRE(format_duration(90000) == "90s");
}

TEST_CASE("units are powers of 1024 in memcached's letters and in IEC's") {
  for (const std::string text : {"2m", "2M", "2MB", "2MiB", "2mib", "2 MiB", "2048k", "2097152B"})
    REQUIRE(parse_size(text).number == 2 << 20);
  REQUIRE(parse_size("0").status == quantity_status::ok);
  REQUIRE(parse_size("1").status == quantity_status::needs_unit);
  REQUIRE(parse_size("8388608t").status == quantity_status::too_large);
  REQUIRE(parse_duration("2min").number == 120000);
}

TEST_CASE("the nearest word is found through a swap, a case and a hyphen, but not from afar") {
  const std::vector<std::string_view> words = {"port", "pid_file", "backlog"};
  REQUIRE(nearest("prot", words) == "port");
  REQUIRE(nearest("PID-FILE", words) == "pid_file");
  REQUIRE(nearest("bcklg", words) == "backlog");
  REQUIRE(nearest("zzzz", words).empty());
  REQUIRE(nearest(std::string(1000, 'a'), words).empty());
}
