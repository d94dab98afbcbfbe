// Requests that come together are looked at ahead of execution: nobody may notice.
#include <string>
#include <thread>
#include <vector>

#include "common/service/batch.h"
#include "tests/unit/catch.h"
#include "tests/unit/service_client.h"

using namespace tandem;
using namespace tandem::test;

namespace {

std::string get_of(unsigned keys, unsigned first = 0) {
  std::string line = "get";
  for (unsigned i = 0; i < keys; ++i) line += " k" + std::to_string((first + i) % 40);
  return line + "\r\n";
}

// Requests of every kind, each of which hangs on the ones before it.
std::vector<std::string> script() {
  std::vector<std::string> requests;
  for (int i = 0; i < 70; ++i)
    requests.push_back(set("k" + std::to_string(i % 40), std::to_string(i)));
  requests.insert(requests.end(),
                  {"get k1\r\n",
                   "incr k1 5\r\n",
                   "get k1 \r\n",
                   "delete k1\r\n",
                   "get k1\r\n",
                   set("k1", "x", "add"),
                   set("k1", "y", "append"),
                   "get  k1 k2  k1 \r\n",
                   "bogus\r\n",
                   "get k1\r\n",
                   "set k1 bad 0 3\r\nabc\r\n",
                   "gat 0 k1\r\n",
                   "set k1 0 0 3\r\nabcde",
                   "get k1\r\n",
                   "touch k1 100\r\n",
                   "version\r\n",
                   "set k1 0 0 2 noreply\r\nno\r\n",
                   "delete k2 noreply\r\n",
                   "get k1 k2\r\n",
                   "set k3 0 0 20000000\r\n" + std::string(20'000'000, 'x') + "\r\n",
                   "get k3\r\n",
                   set("k4", std::string(20000, 'l')),
                   "get k4 k5\r\n",
                   "flush_all noreply\r\n",
                   "get k5\r\n",
                   set("k5", "5") + set("k6", "6", "replace")});
  for (const unsigned keys : {31, 32, 33, 99, 100, 101, 500}) {
    requests.push_back(get_of(keys, keys));
    requests.push_back(set("k7", std::to_string(keys)));
    requests.push_back("get k7\r\n");
  }
  requests.insert(requests.end(), {"quit\r\n", "get k5\r\n", "bogus\r\n"});
  return requests;
}

}  // namespace

TEST_CASE("requests are answered together as they are one by one") {
  std::string together, expected;
  client alone;
  for (const std::string& request : script()) {
    together += request;
    expected += alone.send(request);
  }
  const std::size_t huge = std::size_t{1} << 20;
  for (const unsigned share : {1U, 2U, 20U, 33U, 1000U}) {
    for (const std::size_t output_limit : {std::size_t{1}, std::size_t{300}, huge}) {
      for (const std::size_t piece : {7UL, 64UL, 1000UL, 5000UL, 1UL << 20}) {
        if (piece == 7 && share != 20) continue;
        CAPTURE(share, output_limit, piece);
        client c(small_store(), {.requests_per_event = share, .output_limit = output_limit});
        c.takes_random_steps = output_limit == 300;
        REQUIRE(c.send(together, piece) == expected);
        REQUIRE(c.connection.wants_close());
      }
    }
  }
}

TEST_CASE("a line longer than allowed closes the connection behind what came before it") {
  client c;
  REQUIRE(c.send("get a\r\nget b\r\nset " + std::string(3000, 'k')) == "END\r\nEND\r\n");
  REQUIRE(c.connection.wants_close());
}

TEST_CASE("a look ahead passes over a shard that is busy") {
  service::store data(small_store());
  const service::hashed_key key("k");
  const auto held = data.lock(key, noon);
  std::thread([&] {
    data.prefetch_index(key.hash);
    data.prefetch_item(key.hash);
  }).join();
}

TEST_CASE("a batch hands out what was added, in order, up to its size") {
  service::batch<int, 3> numbers;
  REQUIRE(numbers.empty());
  for (int i = 0; i < 3; ++i) REQUIRE(numbers.add(i) == i);
  REQUIRE(numbers.full());
  REQUIRE(numbers.take() == 0);
  REQUIRE(numbers.size() == 2);
  REQUIRE(numbers.view().front() == 1);
  REQUIRE(numbers.full());
  numbers.clear();
  REQUIRE(numbers.empty());
  REQUIRE_FALSE(numbers.full());
}
