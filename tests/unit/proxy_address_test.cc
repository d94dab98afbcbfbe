// From which addresses a peer may come, with and without a secret, and how addresses read in the
// log.
#include "proxy/address.h"

#include "proxy/start_error.h"
#include "tests/unit/catch.h"

using namespace tandem::proxy;

namespace {
bool taken(const char* address, peer_trust trust) {
  return trusted(asio::ip::make_address(address), trust);
}
}  // namespace

TEST_CASE("a peer on this host is always taken") {
  for (const char* address : {"127.0.0.1", "127.200.1.2", "::1", "::ffff:127.0.0.1"})
    for (const peer_trust trust : {peer_trust::loopback, peer_trust::private_network,
                                   peer_trust::anywhere, peer_trust::authenticated})
      REQUIRE(taken(address, trust));
}

TEST_CASE("private addresses are taken only where flags alone started the node, or anything goes") {
  for (const char* address :
       {"10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.1", "169.254.1.1",
        "fc00::1", "fdff::1", "fe80::1", "::ffff:10.1.2.3"}) {
    CAPTURE(address);
    REQUIRE_FALSE(taken(address, peer_trust::loopback));
    REQUIRE(taken(address, peer_trust::private_network));
    REQUIRE(taken(address, peer_trust::anywhere));
  }
}

TEST_CASE("public addresses are taken only where anything goes, or the peer proves who it is") {
  for (const char* address : {"9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0",
                              "192.167.255.255", "192.169.0.0", "169.253.0.1", "8.8.8.8", "fbff::1",
                              "fe00::1", "fec0::1", "2001:db8::1", "::ffff:8.8.8.8"}) {
    CAPTURE(address);
    REQUIRE_FALSE(taken(address, peer_trust::loopback));
    REQUIRE_FALSE(taken(address, peer_trust::private_network));
    REQUIRE(taken(address, peer_trust::anywhere));
    REQUIRE(taken(address, peer_trust::authenticated));
  }
}

TEST_CASE("an IPv4 address inside an IPv6 one reads as IPv4") {
  const auto at = [](const char* address) {
    return to_string(tcp::endpoint(asio::ip::make_address(address), 11212));
  };
  REQUIRE(at("::ffff:10.1.2.3") == "10.1.2.3:11212");
  REQUIRE(at("10.1.2.3") == "10.1.2.3:11212");
  REQUIRE(at("fe80::1") == "[fe80::1]:11212");
}

TEST_CASE("an address without a port takes the common one, and no address is every address") {
  const auto two = listen_endpoints({"127.0.0.1:7", "[::1]"}, 9);
  REQUIRE(two.size() == 2);
  REQUIRE(to_string(two[0]) == "127.0.0.1:7");
  REQUIRE(to_string(two[1]) == "[::1]:9");
  REQUIRE(to_string(listen_endpoints_at({"127.0.0.1:7"}, 9).at(0)) == "127.0.0.1:9");
  const auto all = listen_endpoints({}, 9);
  REQUIRE(to_string(all.at(0)) == "0.0.0.0:9");
  REQUIRE(to_string(all.at(1)) == "[::]:9");
}

TEST_CASE("an unknown name is an error of the start") {
  REQUIRE_THROWS_AS(listen_endpoints({"no-such-host.invalid"}, 9), start_error);
}
