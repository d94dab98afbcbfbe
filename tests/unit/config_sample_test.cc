// The texts made from the table of keys: the sample file, --print-config, the help and their kin.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "config/flag_table.h"
#include "config/flags.h"
#include "config/print.h"
#include "config/yaml.h"
#include "tests/unit/catch.h"

using namespace tandem::config;
using action = command_line::action;

namespace {

std::string contents(const std::string& path) {
  std::ifstream file(std::string(MEMTANDEM_SOURCE_DIR) + "/" + path, std::ios::binary);
  REQUIRE(file.good());
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string sample() {
  return contents("config/memtandem.sample.yaml");
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

command_line parse_args(const std::vector<std::string>& args) {
  std::vector<const char*> argv = {"memtandem"};
  for (const std::string& arg : args) argv.push_back(arg.c_str());
  return parse_command_line(static_cast<int>(argv.size()), argv.data(), {});
}

// The sample with its commented-out keys in force: "  #peer: ..." is one, "  # Text" is not.
std::string uncommented(const std::string& text) {
  std::string result;
  for (std::string line : lines_of(text)) {
    if (line.size() > 3 && line.starts_with("  #") && line[3] != ' ') line.erase(2, 1);
    result += line + "\n";
  }
  return result;
}

std::size_t keys_from_file(const settings& read) {
  return static_cast<std::size_t>(
      std::count_if(schema().begin(), schema().end(),
                    [&](const key& which) { return read.origin_of(which).from == source::file; }));
}

}  // namespace

TEST_CASE("the sample file is what the table says (memtandem --print-sample)") {
  REQUIRE(sample() == sample_yaml());
}

TEST_CASE("the sample file's values are the defaults") {
  settings read;
  read_yaml(sample(), "sample", read);
  read.finish();
  REQUIRE(read.opts() == options{});
  for (const key& which : schema()) {
    INFO(which.path());
    REQUIRE((read.origin_of(which).from == source::file) != which.optional);
  }
}

TEST_CASE("the sample file with its commented-out keys covers exactly the table's keys") {
  // The example of a peer is another host, so the link to it must be meant.
  std::string text = uncommented(sample());
  const std::string cautious = "insecure: false";
  text.replace(text.find(cautious), cautious.size(), "insecure: true");
  settings read;
  read_yaml(text, "sample", read);
  read.finish();
  REQUIRE(keys_from_file(read) == schema().size());
  REQUIRE(read.opts().replication.peer == endpoint{"10.0.0.2", 11212});
}

TEST_CASE("every key of the sample file has its description, range, default and names") {
  const std::string text = sample();
  for (const key& which : schema()) {
    INFO(which.path());
    REQUIRE(which.description.size() > 40);
    REQUIRE(which.description.ends_with('.'));
    REQUIRE(text.find("Environment: " + which.variable() + ".\n") != std::string::npos);
    REQUIRE(text.find("# Allowed: " + allowed(which) + ". Default: ") != std::string::npos);
  }
  for (const std::string& line : lines_of(text)) REQUIRE(line.size() <= 100);
}

TEST_CASE("the table has a key for every member of options") {
  // A new member breaks this until it is listed here, and then the count until it has a key.
  const options o;
  const auto& [listen, tls, auth, commands, cache, backend, workers, replication, control, admin,
               hooks, log, process] = o;
  [[maybe_unused]] const auto& [l1, l2, l3, l4, l5, l6, l7, l8, l9, l10, l11] = listen;
  [[maybe_unused]] const auto& [t1, t2, t3, t4, t5, t6, t7, t8, t9, t10, t11, t12] = tls;
  [[maybe_unused]] const auto& [a1] = auth;
  [[maybe_unused]] const auto& [d1, d2, d3, d4] = commands;
  [[maybe_unused]] const auto& [c1, c2, c3, c4, c5] = cache;
  [[maybe_unused]] const auto& [b1, b2, b3, b4] = backend;
  [[maybe_unused]] const auto& [w1, w2] = workers;
  [[maybe_unused]] const auto& [r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, r12, r13, r14, r15,
                                r16, r17, r18, r19, r20, r21, r22, r23, r24, r25, r26, r27, r28,
                                r29, r30, r31, r32, r33, r34, r35] = replication;
  [[maybe_unused]] const auto& [o1, o2] = control;
  [[maybe_unused]] const auto& [m1, m2, m3, m4, m5, m6] = admin;
  [[maybe_unused]] const auto& [h1, h2, h3, h4, h5] = hooks;
  [[maybe_unused]] const auto& [g1, g2] = log;
  [[maybe_unused]] const auto& [p1, p2, p3, p4, p5] = process;
  REQUIRE(schema().size() == 11 + 12 + 1 + 4 + 5 + 4 + 2 + 35 + 2 + 6 + 5 + 2 + 5);
}

TEST_CASE("each key of the table sets a member of its own, and its example is accepted") {
  for (const key& which : schema()) {
    INFO(which.path());
    const parsed example = parse_value(which, which.example);
    REQUIRE(example.error.empty());
    options o;
    which.set(o, example.result);
    REQUIRE(which.get(o) == example.result);
    const value other =
        which.type == kind::boolean ? value{!std::get<bool>(which.get(options{}))} : example.result;
    options changed;
    which.set(changed, other);
    for (const key& bystander : schema())
      if (&bystander != &which) REQUIRE(bystander.get(changed) == bystander.get(options{}));
    REQUIRE(find_key(which.section, which.name) == &which);
  }
}

TEST_CASE("every flag's key exists, and no name is given twice") {
  std::vector<std::string> names;
  for (const flag& f : flags()) {
    if (!f.key.empty()) REQUIRE(key_at(f.key).path() == f.key);
    names.push_back(f.name());
  }
  std::sort(names.begin(), names.end());
  REQUIRE(std::adjacent_find(names.begin(), names.end()) == names.end());
}

TEST_CASE("flags that name a peer off this host become a file that says it is meant") {
  const command_line printed = parse_args({"-x", "10.0.0.2", "--print-config"});
  REQUIRE_FALSE(printed.opts.replication.insecure);
  settings read;
  read_yaml(printed.text, "printed", read);
  read.finish();
  REQUIRE(read.opts().replication.insecure);
  REQUIRE(read.opts().replication.peer == endpoint{"10.0.0.2", 11212});
}

TEST_CASE("what --print-config prints loads back to the same options") {
  const std::vector<std::vector<std::string>> lines = {
      {},
      {"-v", "-d", "-p", "21211", "-l", "127.0.0.1", "-u", "root", "-x", "127.0.0.1", "-P",
       "/tmp/m2.pid"},
      {"-l", "[::1]:5,a.b:6",
       "-x", "[::1]",
       "-X", "7",
       "-q", "8192",
       "-I", "1025",
       "-m", "3g",
       "-M", "-k",
       "-r", "-vv",
       "-t", "3",
       "-P", "/a \"b\" \\c # d: 'e'\xc3\xa9"},
      {"-s", "/run/a b.sock", "-a", "660", "-Y", "/u", "-F", "-A", "-X", "-o",
       "idle_timeout=90,no_maxconns_fast,write_timeout=5"},
      {"-Z", "-l", "notls:127.0.0.1:5,mtls:[::1],*:7", "-o",
       "ssl_chain_cert=/c,ssl_key=/k,ssl_keyformat=2,ssl_verify_mode=1,ssl_ca_cert=/a", "-o",
       "ssl_ciphers=HIGH:!aNULL,ssl_min_version=3,ssl_wbuf_size=64,ssl_session_cache,"
       "ssl_kernel_tls"},
      {"--replication-listen", "c:5", "--replication-port", "9", "-u", "null", "-P", "~"},
  };
  for (std::vector<std::string> line : lines) {
    const options wanted = parse_args(line).opts;
    line.push_back("--print-config");
    const command_line printed = parse_args(line);
    INFO(printed.text);
    REQUIRE(printed.what == action::print_config);
    REQUIRE(printed.opts == wanted);
    settings read;
    read_yaml(printed.text, "printed", read);
    read.finish();
    REQUIRE(read.opts() == wanted);
    REQUIRE(keys_from_file(read) == schema().size());
  }
}

TEST_CASE("--print-config says where each value came from") {
  const std::vector<const char*> argv = {"memtandem", "--port=5", "--print-config"};
  const std::string text = parse_command_line(3, argv.data(), {"MEMTANDEM_LISTEN_BACKLOG=6"}).text;
  REQUIRE(text.find("\n  port: 5  # -p\n") != std::string::npos);
  REQUIRE(text.find("\n  backlog: 6  # MEMTANDEM_LISTEN_BACKLOG\n") != std::string::npos);
  REQUIRE(text.find("\n  memory: 64MiB  # default\n") != std::string::npos);
  REQUIRE(text.find("\n  peer: null  # default\n") != std::string::npos);
}

TEST_CASE("--check-config reads the file and names it") {
  const std::string path = std::string(MEMTANDEM_SOURCE_DIR) + "/config/memtandem.sample.yaml";
  const command_line c = parse_args({"--config", path, "--check-config"});
  REQUIRE(c.what == action::check_config);
  REQUIRE(c.text == path + ": ok\n");
  REQUIRE(parse_args({"--check-config"}).text == "configuration: ok\n");
  const command_line printed = parse_args({"--config", path, "--print-config"});
  REQUIRE(printed.text.find("  port: 11211  # " + path + ":") != std::string::npos);
}

TEST_CASE("help, version and license answer whatever else was asked") {
  const command_line help = parse_args({"-p", "x", "-h"});
  REQUIRE(help.what == action::print_help);
  for (const std::string& line : lines_of(help.text)) REQUIRE(line.size() < 80);
  for (const flag& f : flags()) {
    INFO(f.names);
    REQUIRE(help.text.find(f.name()) != std::string::npos);
  }
  REQUIRE(parse_args({"-V"}).what == action::print_version);
  REQUIRE(parse_args({"--version"}).text == version_text());
  REQUIRE(version_text().starts_with("memtandem "));
  REQUIRE(parse_args({"-i"}).what == action::print_license);
  REQUIRE(license_text() == contents("LICENSE"));
  REQUIRE(parse_args({"--print-sample"}).text == sample_yaml());
}

TEST_CASE("a link that nothing authenticates must be meant, unless it is local") {
  const auto warnings = [](const std::string& yaml) {
    settings read;
    read_yaml("replication: {" + yaml + "}", "f.yaml", read);
    read.finish();
    return read.warnings();
  };
  REQUIRE(warnings("peer: 127.0.0.1").empty());
  REQUIRE(warnings("peer: localhost").empty());
  REQUIRE(warnings("peer: '[::1]:5'").empty());
  REQUIRE(warnings("peer: 10.0.0.2, insecure: true").empty());
  const std::string text =
      "the link to '10.0.0.2' is not authenticated: whoever reaches the replication port can read "
      "and change the cache; replication.secret_file or replication.tls_certificate authenticates "
      "it, replication.insecure: true says that this is meant";
  try {
    (void)warnings("peer: 10.0.0.2");
    FAIL("a file may not leave it open");
  } catch (const config_error& e) {
    REQUIRE(e.messages() == std::vector{"f.yaml:1:21: replication.peer: " + text});
  }
  REQUIRE(warnings("peer: 10.0.0.2, secret_file: /s").empty());
  REQUIRE(warnings("peer: 10.0.0.2, tls_certificate: /c, tls_ca: /a").empty());
  // Nor where a flag names the peer beside a file, which could have said so.
  settings mixed;
  read_yaml("", "f.yaml", mixed);
  mixed.set_text(key_at("replication.peer"), "10.0.0.2", source::flag, "-x");
  REQUIRE_THROWS_AS(mixed.finish(), config_error);
  // Repcached's flags know no such word: there it is a warning.
  REQUIRE(parse_args({"-x", "10.0.0.2"}).warnings.size() == 1);
  REQUIRE(parse_args({"-x", "10.0.0.2"}).warnings[0].find(text) != std::string::npos);
  REQUIRE(warnings("peer: 10.0.0.2, enabled: false") ==
          std::vector<std::string>{"f.yaml:1:21: replication.peer: has no effect while "
                                   "replication.enabled is false"});
}

TEST_CASE("the link's TLS is whole or not there") {
  const auto errors = [](const std::string& yaml) -> std::vector<std::string> {
    try {
      (void)load_yaml("replication: {" + yaml + "}", "f.yaml");
    } catch (const config_error& e) {
      return e.messages();
    }
    return {};
  };
  REQUIRE(errors("tls_certificate: /c, tls_ca: /a").empty());
  REQUIRE(errors("tls_certificate: /c, tls_key: /k, tls_ca: /a, tls_peer_name: b").empty());
  REQUIRE(errors("tls_certificate: '', tls_ca: ~, secret_file: ''").empty());
  REQUIRE(errors("tls_certificate: /c") ==
          std::vector<std::string>{"f.yaml:1:32: replication.tls_certificate: needs "
                                   "replication.tls_ca, or no certificate of the peer is good"});
  const std::string alone = "has no effect without replication.tls_certificate";
  REQUIRE(errors("tls_ca: /a, tls_peer_name: b") ==
          std::vector<std::string>{"f.yaml:1:23: replication.tls_ca: " + alone,
                                   "f.yaml:1:42: replication.tls_peer_name: " + alone});
  REQUIRE(errors("tls_key: /a").size() == 1);
}
