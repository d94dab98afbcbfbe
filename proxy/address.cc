#include "proxy/address.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "config/text.h"
#include "proxy/start_error.h"

namespace tandem::proxy {
namespace {

asio::ip::address plain(const asio::ip::address& address) {
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  return address;
}

bool is_private(const asio::ip::address_v4& address) {
  const std::uint32_t a = address.to_uint();
  return a >> 24 == 10 ||                  // 10.0.0.0/8
         a >> 20 == (172U << 4 | 1U) ||    // 172.16.0.0/12
         a >> 16 == (192U << 8 | 168U) ||  // 192.168.0.0/16
         a >> 16 == (169U << 8 | 254U);    // 169.254.0.0/16
}

bool is_private(const asio::ip::address_v6& address) {
  return (address.to_bytes()[0] & 0xfe) == 0xfc || address.is_link_local();  // fc00::/7, fe80::/10
}

void resolve(const std::string& host, std::uint16_t port, std::vector<tcp::endpoint>& into) {
  asio::io_context context;
  tcp_resolver resolver(context.get_executor());
  error_code ec;
  const auto found = resolver.resolve(host, std::to_string(port), tcp_resolver::passive, ec);
  if (ec) throw start_error("cannot resolve " + host + ": " + ec.message());
  for (const auto& entry : found) into.push_back(entry.endpoint());
}

std::vector<listen_point> points(const std::vector<std::string>& addresses, std::uint16_t port,
                                 bool own_ports) {
  std::vector<listen_point> all;
  const auto add_any = [&all](std::uint16_t at, config::listener_tls tls) {
    all.push_back({{tcp::v4(), at}, tls, true});
    all.push_back({{tcp::v6(), at}, tls, true});
  };
  for (const std::string& text : addresses) {
    config::listener entry;
    const std::string wrong = config::parse_listener(text, entry);
    if (!wrong.empty()) throw start_error(text + ": " + wrong);
    const std::uint16_t at = own_ports && entry.where.port != 0 ? entry.where.port : port;
    if (entry.where.host.empty()) {
      add_any(at, entry.tls);
      continue;
    }
    std::vector<tcp::endpoint> found;
    resolve(entry.where.host, at, found);
    for (const tcp::endpoint& where : found) all.push_back({where, entry.tls});
  }
  if (addresses.empty()) add_any(port, config::listener_tls::common);
  return all;
}

std::vector<tcp::endpoint> endpoints(const std::vector<listen_point>& points) {
  std::vector<tcp::endpoint> all;
  all.reserve(points.size());
  for (const listen_point& point : points) all.push_back(point.where);
  return all;
}

std::string unix_path(const sockaddr_storage& address, socklen_t size) {
  const auto* const local = reinterpret_cast<const sockaddr_un*>(&address);
  const std::size_t begin = offsetof(sockaddr_un, sun_path);
  if (size <= begin) return "";
  return {local->sun_path, ::strnlen(local->sun_path, size - begin)};
}

}  // namespace

std::string to_string(const tcp::endpoint& where) {
  const asio::ip::address address = plain(where.address());
  const std::string port = ':' + std::to_string(where.port());
  return address.is_v6() ? '[' + address.to_string() + ']' + port : address.to_string() + port;
}

std::string peer_name(int socket) {
  const std::string name = stats_address(socket, true);
  if (name.starts_with("unix:")) return "unix";
  return name.substr(name.find(':') + 1);
}

std::string stats_address(int socket, bool peer) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  auto* const to = reinterpret_cast<sockaddr*>(&address);
  const int result = peer ? ::getpeername(socket, to, &size) : ::getsockname(socket, to, &size);
  if (result != 0) return "?";
  if (address.ss_family == AF_UNIX) {
    const std::string path = unix_path(address, size);
    if (peer && path.empty()) return stats_address(socket, false);
    std::string text = "unix:" + path;
    // Statistics are split at spaces by those who read them.
    std::replace(text.begin(), text.end(), ' ', '_');
    return text;
  }
  tcp::endpoint where;
  std::memcpy(where.data(), &address, std::min<std::size_t>(size, where.capacity()));
  where.resize(size);
  return (plain(where.address()).is_v6() ? "tcp6:" : "tcp:") + to_string(where);
}

std::vector<listen_point> listen_points(const std::vector<std::string>& addresses,
                                        std::uint16_t port) {
  return points(addresses, port, true);
}

std::vector<tcp::endpoint> listen_endpoints(const std::vector<std::string>& addresses,
                                            std::uint16_t port) {
  return endpoints(points(addresses, port, true));
}

std::vector<tcp::endpoint> listen_endpoints_at(const std::vector<std::string>& addresses,
                                               std::uint16_t port) {
  return endpoints(points(addresses, port, false));
}

void bind_acceptor(tcp_acceptor& acceptor, const tcp::endpoint& where, bool reuse_port,
                   error_code& ec) {
  error_code ignored;
  acceptor.close(ignored);
  acceptor.open(where.protocol(), ec);
  if (ec) return;
  acceptor.set_option(tcp_acceptor::reuse_address(true), ignored);
  // Each family has its own socket, so that neither takes the other's port.
  if (where.protocol() == tcp::v6()) acceptor.set_option(asio::ip::v6_only(true), ignored);
  const int on = 1;
  if (reuse_port) ::setsockopt(acceptor.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  acceptor.bind(where, ec);
  if (!ec) acceptor.native_non_blocking(true, ec);
  if (ec) acceptor.close(ignored);
}

bool trusted(const asio::ip::address& peer, peer_trust trust) {
  if (trust == peer_trust::anywhere || trust == peer_trust::authenticated) return true;
  const asio::ip::address address = plain(peer);
  if (address.is_loopback()) return true;
  if (trust == peer_trust::loopback) return false;
  return address.is_v4() ? is_private(address.to_v4()) : is_private(address.to_v6());
}

const char* describe(peer_trust trust) {
  switch (trust) {
    case peer_trust::loopback:
      return "loopback addresses";
    case peer_trust::private_network:
      return "private addresses";
    case peer_trust::anywhere:
    case peer_trust::authenticated:
      return "any address";
  }
  return "";
}

}  // namespace tandem::proxy
