// Workers that wait at the gate, and the link that opens it: no change is missed, and every reply
// comes. What goes wrong is counted and reported at the end (Catch is for one thread).
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/catch.h"
#include "tests/unit/service_client.h"

using namespace tandem;
using namespace tandem::service;
using namespace tandem::test;

namespace {

constexpr unsigned worker_count = 3;
constexpr int rounds = 2000;
constexpr std::chrono::seconds wake_patience{60};

struct shared_server final : test_server {
  using test_server::test_server;
  void mutated() override {}
};

// A worker with one connection, which waits as a session does.
class waiting_worker final : ack_waker {
 public:
  waiting_worker(store& data, shared_server& host)
      : gate_(*host.gate), number_(gate_.subscribe(*this)), connection_(data, counts_, host, {}) {}

  void run(const std::string& key) {
    for (int i = 0; i < rounds; ++i) {
      const std::string request = set(key, std::to_string(i)) + "incr shared 1\r\n";
      std::memcpy(connection_.prepare().data(), request.data(), request.size());
      connection_.received(request.size(), noon);
      while (connection_.waits()) {
        if (!gate_.wait(number_, connection_.seen()) && !woken_.try_acquire_for(wake_patience)) {
          ++lost_wakes;
          return;
        }
        connection_.look(noon);
      }
      take_replies();
    }
  }

  std::string replies;
  int lost_wakes = 0;

 private:
  void confirmed() override { woken_.release(); }
  void take_replies() {
    while (connection_.has_output()) {
      std::array<std::string_view, 4> pieces;
      const std::size_t count = connection_.output(pieces);
      std::size_t bytes = 0;
      for (std::size_t i = 0; i < count; ++i) {
        replies.append(pieces[i]);
        bytes += pieces[i].size();
      }
      connection_.sent(bytes);
    }
  }

  ack_gate& gate_;
  const std::size_t number_;
  worker_statistics counts_;
  connection connection_;
  std::counting_semaphore<> woken_{0};
};

}  // namespace

TEST_CASE("workers that wait for the peer miss no confirmation, and each gets its replies") {
  store_options options = small_store();
  options.shards = 2;
  store data(options);
  shared_server host(
      std::make_unique<ack_gate>(2, replication::ack_mode::sync, std::chrono::hours(1)));
  data.set_watchers(host.watchers());
  data.set_acks(*host.gate);
  {
    auto shared = data.lock(hashed_key("shared"), noon);
    shared.put(hashed_key("shared"), 0, 0, "0");
  }
  std::vector<std::unique_ptr<waiting_worker>> all;
  for (unsigned i = 0; i < worker_count; ++i)
    all.push_back(std::make_unique<waiting_worker>(data, host));
  std::atomic<bool> done{false};
  std::thread link([&] {
    while (!done.load()) {
      for (std::size_t s = 0; s < 2; ++s) data.confirm(s, data.journal_end(s), true);
      host.gate->announce();
      std::this_thread::yield();
    }
  });
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < worker_count; ++i)
    threads.emplace_back([&, i] { all[i]->run("k" + std::to_string(i)); });
  for (std::thread& each : threads) each.join();
  done.store(true);
  link.join();
  for (const auto& each : all) {
    REQUIRE(each->lost_wakes == 0);
    std::size_t stored = 0;
    for (std::size_t at = each->replies.find("STORED\r\n"); at != std::string::npos;
         at = each->replies.find("STORED\r\n", at + 1))
      ++stored;
    REQUIRE(stored == rounds);
    REQUIRE(each->replies.find("ERROR") == std::string::npos);
  }
  auto shared = data.lock(hashed_key("shared"), noon);
  REQUIRE(shared.find(hashed_key("shared"))->value == std::to_string(worker_count * rounds));
}
