// When the loops count as alive, and what reaches the service manager.
#include "proxy/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "tests/unit/catch.h"

using namespace tandem::proxy;

TEST_CASE("a loop that does not make its call stops the signs of life until it does") {
  std::vector<std::function<void()>> calls;
  loop_watch loops;
  loops.add([](const std::function<void()>& call) { call(); });
  loops.add([&](std::function<void()> call) { calls.push_back(std::move(call)); });
  REQUIRE(loops.beat());
  REQUIRE_FALSE(loops.beat());
  REQUIRE_FALSE(loops.beat());
  REQUIRE(calls.size() == 1);  // one is enough: it has not been made
  calls.front()();
  REQUIRE(loops.beat());
  REQUIRE(calls.size() == 2);
}

TEST_CASE("a call that is made after the watch has gone is harmless") {
  std::function<void()> late;
  {
    loop_watch loops;
    loops.add([&](std::function<void()> call) { late = std::move(call); });
    REQUIRE(loops.beat());
  }
  late();
}

TEST_CASE("the service manager is told through an abstract socket") {
  const int manager = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const std::string name = "memtandem-test-" + std::to_string(::getpid());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  REQUIRE(::bind(manager, reinterpret_cast<const sockaddr*>(&address),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())) == 0);
  ::setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
  ::setenv("WATCHDOG_USEC", "4000000", 1);
  ::setenv("WATCHDOG_PID", "17", 1);
  const notifier ours(17);
  const notifier others(18);
  ::unsetenv("NOTIFY_SOCKET");
  ::unsetenv("WATCHDOG_USEC");
  ::unsetenv("WATCHDOG_PID");

  REQUIRE(ours.wanted());
  REQUIRE(ours.watchdog_period() == std::chrono::seconds(4));
  REQUIRE(others.watchdog_period().count() == 0);
  ours.send("READY=1");
  char text[32];
  const ssize_t n = ::recv(manager, text, sizeof text, MSG_DONTWAIT);
  ::close(manager);
  REQUIRE(n == 7);
  REQUIRE(std::string(text, 7) == "READY=1");
}

TEST_CASE("without a service manager nothing is sent") {
  ::unsetenv("NOTIFY_SOCKET");
  const notifier none(1);
  REQUIRE_FALSE(none.wanted());
  none.send("READY=1");
}
