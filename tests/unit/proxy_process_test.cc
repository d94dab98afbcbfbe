// The pid file and the connection counts.
#include "proxy/process.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "proxy/connection_counts.h"
#include "proxy/start_error.h"
#include "tests/unit/catch.h"

using namespace tandem::proxy;

namespace {
struct folder {
  std::string path;
  folder() {
    char name[] = "/tmp/memtandem-test-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~folder() { std::filesystem::remove_all(path); }
};
std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}
}  // namespace

TEST_CASE("a pid file holds the process's id and goes with it") {
  const folder where;
  const std::string path = where.path + "/pid";
  {
    const pid_file file(path);
    REQUIRE(first_line(path) == std::to_string(::getpid()));
  }
  REQUIRE_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a pid file left by a crash is overwritten, a held one is an error") {
  const folder where;
  const std::string path = where.path + "/pid";
  std::ofstream(path) << "123456789\nand more\n";
  const pid_file file(path);
  REQUIRE(first_line(path) == std::to_string(::getpid()));
  REQUIRE(std::filesystem::file_size(path) == std::to_string(::getpid()).size() + 1);
  REQUIRE_THROWS_AS(pid_file(path), start_error);
  REQUIRE(first_line(path) == std::to_string(::getpid()));
}

TEST_CASE("a pid file that cannot be written is an error") {
  REQUIRE_THROWS_AS(pid_file("/nonexistent/pid"), start_error);
  const pid_file none("");
}

TEST_CASE("connections over the limit are rejected and counted") {
  connection_counts counts;
  REQUIRE(counts.enter(2));
  REQUIRE(counts.enter(2));
  REQUIRE_FALSE(counts.enter(2));
  REQUIRE(counts.current() == 2);
  REQUIRE(counts.rejected() == 1);
  counts.leave();
  REQUIRE(counts.enter(2));
  REQUIRE(counts.total() == 3);
  REQUIRE(counts.peak() == 2);
  counts.reset();
  REQUIRE(counts.total() == 0);
  REQUIRE(counts.current() == 2);
}
