#include <string>
#include <vector>

#include "common/replication/journal.h"
#include "tests/unit/catch.h"

using tandem::version;
using tandem::replication::journal;

namespace {

std::vector<std::string> keys_from(const journal& j, journal::position from) {
  std::vector<std::string> keys;
  const auto end = j.read(from, [&](const journal::entry& e) {
    keys.emplace_back(e.key);
    return true;
  });
  REQUIRE(end == j.end());
  return keys;
}

}  // namespace

TEST_CASE("a journal that nobody reads keeps nothing but counts") {
  journal j(1 << 20);
  j.append(version(1), "a");
  j.append(version(2), "b");
  REQUIRE(j.begin() == 2);
  REQUIRE(j.end() == 2);
  REQUIRE(j.bytes() == 0);
}

TEST_CASE("entries come back in order with their versions, from any position") {
  journal j(1 << 20);
  j.append(version(1), "before");
  j.start();
  for (std::uint64_t i = 0; i < 5000; ++i) j.append(version(10 + i), "key" + std::to_string(i));
  REQUIRE(j.begin() == 1);
  const auto all = keys_from(j, j.begin());
  REQUIRE(all.size() == 5000);
  REQUIRE(all.front() == "key0");
  REQUIRE(all.back() == "key4999");
  REQUIRE(keys_from(j, 4001).front() == "key4000");
  std::vector<version> versions;
  j.read(3001, [&](const journal::entry& e) {
    versions.push_back(e.changed());
    return versions.size() < 2;
  });
  REQUIRE(versions == std::vector{version(3010), version(3011)});
}

TEST_CASE("an entry of a touch names both versions") {
  journal j(1 << 20);
  j.start();
  j.append(version(5), "touched", version(9));
  j.append(version(10), "stored");
  std::vector<journal::entry> entries;
  j.read(0, [&](const journal::entry& e) {
    entries.push_back(e);
    return true;
  });
  REQUIRE(entries.size() == 2);
  REQUIRE(entries[0].stored == version(5));
  REQUIRE(entries[0].touched == version(9));
  REQUIRE(entries[0].changed() == version(9));
  REQUIRE(entries[0].key == "touched");
  REQUIRE(entries[1].changed() == version(10));
  REQUIRE_FALSE(entries[1].touched);
}

TEST_CASE("a visitor that has had enough is asked again for the same entry") {
  journal j(1 << 20);
  j.start();
  j.append(version(1), "a");
  j.append(version(2), "b");
  REQUIRE(j.read(0, [](const journal::entry& e) { return e.key != "b"; }) == 1);
  REQUIRE(keys_from(j, 1) == std::vector<std::string>{"b"});
}

TEST_CASE("a full journal drops its oldest entries and stays within its limit") {
  journal j(64 << 10);
  j.start();
  const std::string key(250, 'k');
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    j.append(version(i + 1), key);
    REQUIRE(j.bytes() <= j.limit());
  }
  REQUIRE(j.begin() > 9000);
  REQUIRE(j.end() == 10'000);
  REQUIRE(keys_from(j, j.begin()).size() == j.end() - j.begin());
}

TEST_CASE("trimming gives memory back and moves the beginning") {
  journal j(1 << 20);
  j.start();
  for (std::uint64_t i = 0; i < 20'000; ++i) j.append(version(i + 1), "some key");
  const auto full = j.bytes();
  j.trim(19'999);
  REQUIRE(j.begin() == 19'999);
  REQUIRE(j.bytes() < full / 4);
  REQUIRE(keys_from(j, j.begin()).size() == 1);
  j.trim(1'000'000);
  REQUIRE(j.begin() == j.end());
  REQUIRE(j.bytes() == 0);
}

TEST_CASE("a stopped journal forgets, and a new start begins at its end") {
  journal j(1 << 20);
  j.start();
  j.append(version(1), "a");
  j.stop();
  j.append(version(2), "b");
  REQUIRE(j.begin() == 2);
  j.start();
  j.append(version(3), "c");
  REQUIRE(keys_from(j, j.begin()) == std::vector<std::string>{"c"});
}
