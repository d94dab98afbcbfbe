// The replication port: accepts the peer's connections. An address in use is waited for, because on
// one machine two nodes share the port: the one that is left takes it when the other has died. The
// link's thread only.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/address.h"
#include "proxy/asio.h"

namespace tandem::proxy {

class peer_port {
 public:
  static constexpr std::chrono::milliseconds retry_interval{500};

  // Resolves the addresses and tries to open them. Throws start_error when that fails for another
  // reason than an address in use.
  peer_port(asio::io_context& context, const std::vector<std::string>& addresses,
            std::uint16_t port);

  // The address that somebody else has, if any.
  const tcp::endpoint* occupied() const;

  // From now on `accepted` gets every connection, and `opened` is called when all addresses are
  // open (never from within start()).
  void start(std::function<void()> opened, std::function<void(tcp_socket)> accepted);
  void stop();

 private:
  struct door {
    door(asio::io_context& context, const tcp::endpoint& address)
        : where(address), acceptor(context) {}
    tcp::endpoint where;
    tcp_acceptor acceptor;
    bool open = false;
  };

  void open(door& which, error_code& ec);
  void retry();
  void accept(door& which);

  asio::io_context& context_;
  std::vector<std::unique_ptr<door>> doors_;
  steady_timer timer_;
  steady_timer breath_;
  std::function<void()> opened_;
  std::function<void(tcp_socket)> accepted_;
};

}  // namespace tandem::proxy
