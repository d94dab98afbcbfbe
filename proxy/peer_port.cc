#include "proxy/peer_port.h"

#include <algorithm>
#include <utility>

#include "proxy/log.h"
#include "proxy/start_error.h"

namespace tandem::proxy {
namespace {

// The peer must find room in the kernel's queue beside whatever else knocks.
constexpr int peer_backlog = 256;

}  // namespace

peer_port::peer_port(asio::io_context& context, const std::vector<std::string>& addresses,
                     std::uint16_t port)
    : context_(context), timer_(context), breath_(context) {
  for (const tcp::endpoint& where : listen_endpoints_at(addresses, port)) {
    auto fresh = std::make_unique<door>(context, where);
    error_code ec;
    open(*fresh, ec);
    // Asked for every address on a host without IPv6.
    if (addresses.empty() && where.protocol() == tcp::v6() && !doors_.empty() &&
        (ec == asio::error::address_family_not_supported ||
         ec == boost::system::errc::address_not_available))
      continue;
    if (ec && ec != asio::error::address_in_use)
      throw start_error("failed to listen on replication port " + to_string(where) + ": " +
                        ec.message());
    doors_.push_back(std::move(fresh));
  }
}

const tcp::endpoint* peer_port::occupied() const {
  const auto found =
      std::find_if(doors_.begin(), doors_.end(), [](const auto& each) { return !each->open; });
  return found == doors_.end() ? nullptr : &(*found)->where;
}

void peer_port::start(std::function<void()> opened, std::function<void(tcp_socket)> accepted) {
  opened_ = std::move(opened);
  accepted_ = std::move(accepted);
  if (const tcp::endpoint* taken = occupied())
    spdlog::info("replication: port {} is in use; taking it when it becomes free",
                 to_string(*taken));
  for (const auto& each : doors_)
    if (each->open) accept(*each);
  timer_.expires_after(std::chrono::milliseconds(0));
  timer_.async_wait([this](error_code ec) {
    if (!ec) retry();
  });
}

void peer_port::stop() {
  timer_.cancel();
  breath_.cancel();
  error_code ignored;
  for (const auto& each : doors_) {
    each->open = false;
    each->acceptor.close(ignored);
  }
}

void peer_port::open(door& which, error_code& ec) {
  bind_acceptor(which.acceptor, which.where, false, ec);
  if (!ec) which.acceptor.listen(peer_backlog, ec);
  error_code ignored;
  if (ec) which.acceptor.close(ignored);
  which.open = !ec;
}

void peer_port::retry() {
  for (const auto& each : doors_) {
    if (each->open) continue;
    error_code ec;
    open(*each, ec);
    if (ec) continue;
    spdlog::debug("replication: {} is open", to_string(each->where));
    accept(*each);
  }
  if (occupied() == nullptr) return opened_();
  timer_.expires_after(retry_interval);
  timer_.async_wait([this](error_code ec) {
    if (!ec) retry();
  });
}

void peer_port::accept(door& which) {
  which.acceptor.async_accept(context_, [this, &which](error_code ec, tcp_socket socket) {
    if (!which.open) return;
    if (!ec) {
      accepted_(std::move(socket));
      return accept(which);
    }
    if (ec == asio::error::connection_aborted) return accept(which);
    spdlog::warn("replication: accepting pauses: {}", ec.message());
    breath_.expires_after(accept_breath);
    breath_.async_wait([this, &which](error_code stopped) {
      if (!stopped) accept(which);
    });
  });
}

}  // namespace tandem::proxy
