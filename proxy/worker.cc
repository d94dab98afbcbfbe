#include "proxy/worker.h"

#include <pthread.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "proxy/clock.h"
#include "proxy/log.h"

namespace tandem::proxy {

worker::worker(service::store& data, service::server& host, connection_counts& counts,
               const std::atomic<bool>& serving, const service::connection_limits& limits)
    : data_(data), host_(host), counts_(counts), serving_(serving), limits_(limits) {
  // Asio opens the loop's descriptors for the first socket. Having none left is an error of the
  // start, and must not wait for a client.
  const tcp_socket first(context_);
}

worker::~worker() {
  stop();
}

void worker::start(unsigned number) {
  thread_ = std::thread([this] { context_.run(); });
  ::pthread_setname_np(thread_.native_handle(), ("worker-" + std::to_string(number)).c_str());
}

void worker::stop() {
  if (!thread_.joinable()) return;
  asio::post(context_, [this] {
    close_sessions();
    work_.reset();
  });
  thread_.join();
}

void worker::adopt(int socket) {
  asio::post(context_, [this, socket] {
    tcp_socket client(context_);
    error_code ec;
    // The family matters to opening only.
    client.assign(tcp::v4(), socket, ec);
    if (ec) {
      spdlog::warn("client {}: {}", socket, ec.message());
      ::close(socket);
    }
    // The node may have stopped serving while the socket was on its way here.
    if (ec || !serving()) return counts_.leave();
    client.non_blocking(true, ec);
    const auto fresh = std::make_shared<session>(*this, std::move(client), now().steady);
    {
      const std::lock_guard guard(sessions_mutex_);
      sessions_.insert(fresh);
    }
    fresh->start();
  });
}

void worker::close_all() {
  asio::post(context_, [this] { close_sessions(); });
}

void worker::close_sessions() {
  while (!sessions_.empty()) {
    const std::shared_ptr<session> each = *sessions_.begin();
    each->close("the node stops serving");
  }
}

void worker::forget(const std::shared_ptr<session>& which) {
  {
    const std::lock_guard guard(sessions_mutex_);
    sessions_.erase(which);
  }
  counts_.leave();
}

void worker::describe_sessions(std::vector<service::stat_row>& rows, steady_time at) const {
  const std::lock_guard guard(sessions_mutex_);
  for (const auto& each : sessions_) each->describe(rows, at);
}

}  // namespace tandem::proxy
