// Addresses: names to endpoints, endpoints to text, and from which addresses a peer may come.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/text.h"
#include "proxy/asio.h"

namespace tandem::proxy {

// HOST:PORT, [IPV6]:PORT; an IPv4 address inside an IPv6 one as plain IPv4.
std::string to_string(const tcp::endpoint& where);
// For a line after accept(): what getpeername() says.
std::string peer_name(int socket);

// As memcached writes it in `stats conns`: "tcp:10.0.0.7:51234", "tcp6:[::1]:11211", "unix:PATH";
// of the other end or of this one.
std::string stats_address(int socket, bool peer);

struct listen_point {
  tcp::endpoint where;
  config::listener_tls tls = config::listener_tls::common;
  bool any = false;  // one of "every address": a host without its family can do without it
};
// Where to listen. Entries are as config::parse_listener reads them; `port` is for those without
// one. No entry: every address of the host, IPv6 included if it has that. Throws start_error for a
// name that is unknown. Blocks while names are resolved.
std::vector<listen_point> listen_points(const std::vector<std::string>& addresses,
                                        std::uint16_t port);
std::vector<tcp::endpoint> listen_endpoints(const std::vector<std::string>& addresses,
                                            std::uint16_t port);
// The same hosts, all with this port.
std::vector<tcp::endpoint> listen_endpoints_at(const std::vector<std::string>& addresses,
                                               std::uint16_t port);

// Opens and binds, does not listen. On failure the acceptor is closed and `ec` says why.
void bind_acceptor(tcp_acceptor& acceptor, const tcp::endpoint& where, bool reuse_port,
                   error_code& ec);

// How far the peer link goes.
enum class peer_trust : std::uint8_t {
  loopback,         // started from YAML: this host
  private_network,  // started with Repcached's flags, which know no secret: RFC 1918, RFC 4193,
                    // link-local addresses too
  anywhere,         // `insecure: true`
  authenticated,    // the peer proves who it is, wherever it comes from
};
bool trusted(const asio::ip::address& peer, peer_trust trust);
// "private addresses": for the log line that refuses any other.
const char* describe(peer_trust trust);

}  // namespace tandem::proxy
