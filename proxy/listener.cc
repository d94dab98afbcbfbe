#include "proxy/listener.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "proxy/address.h"
#include "proxy/clock.h"
#include "proxy/log.h"
#include "proxy/start_error.h"

namespace tandem::proxy {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds retry_interval{500};
// Long enough for a descriptor to become free, too short for a client to notice.
constexpr milliseconds breath{20};
// Accepted in one go, before timers and other doors get their turn.
constexpr int accepts_per_event = 64;
constexpr std::string_view too_many = "ERROR Too many open connections\r\n";

bool out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

listener::listener(asio::io_context& context, const config::listen_options& options, bool tls,
                   const std::vector<std::unique_ptr<worker>>& workers, connection_counts& counts)
    : options_(options),
      context_(context),
      workers_(workers),
      counts_(counts),
      retry_(context),
      breath_(context),
      last_accept_(now().steady.time_since_epoch().count()) {
  if (options.tcp) add_tcp_doors(tls);
  if (!options.unix_socket.empty()) add_unix_door();
}

void listener::add_tcp_doors(bool tls) {
  for (const listen_point& point : listen_points(options_.addresses, options_.port)) {
    auto fresh =
        std::make_unique<door>(context_, point.where, tls ? point.tls : config::listener_tls::off);
    error_code ec;
    bind(*fresh, ec);
    // Asked for every address on a host without IPv6.
    if (point.any && point.where.protocol() == tcp::v6() && !doors_.empty() &&
        (ec == asio::error::address_family_not_supported ||
         ec == boost::system::errc::address_not_available))
      continue;
    if (ec) throw start_error("failed to listen on " + name_of(*fresh) + ": " + ec.message());
    doors_.push_back(std::move(fresh));
  }
}

void listener::add_unix_door() {
  unix_file_.emplace(options_.unix_socket, options_.unix_mask);
  auto fresh = std::make_unique<door>(context_, tcp::endpoint(), config::listener_tls::off);
  fresh->is_unix = true;
  error_code ec;
  bind(*fresh, ec);
  if (ec) throw start_error("failed to listen on " + name_of(*fresh) + ": " + ec.message());
  doors_.push_back(std::move(fresh));
}

void listener::give_to(uid_t user, gid_t group) const {
  if (unix_file_) unix_file_->give_to(user, group);
}

std::string listener::name_of(const door& which) const {
  return which.is_unix ? "UNIX socket " + unix_file_->path() : to_string(which.where);
}

void listener::bind(door& which, error_code& ec) {
  if (which.is_unix) return unix_file_->bind(which.acceptor, ec);
  bind_acceptor(which.acceptor, which.where, options_.reuse_port, ec);
  if (ec) return;
  // Linux hands these on to what is accepted.
  error_code ignored;
  which.acceptor.set_option(tcp::no_delay(true), ignored);
  which.acceptor.set_option(tcp_acceptor::keep_alive(true), ignored);
}

void listener::stop() {
  serving_ = false;
  accepting_.store(false, std::memory_order_relaxed);
  retry_.cancel();
  breath_.cancel();
  for (const auto& each : doors_) {
    close(*each);
    error_code ignored;
    each->acceptor.close(ignored);
  }
  unix_file_.reset();
}

void listener::close(door& which) {
  which.listening = false;
  which.descriptor.store(-1, std::memory_order_relaxed);
}

void listener::describe(std::vector<service::stat_row>& rows, steady_time at) const {
  const auto idle =
      at.time_since_epoch() - steady_time::duration(last_accept_.load(std::memory_order_relaxed));
  const std::string seconds =
      std::to_string(std::chrono::duration_cast<std::chrono::seconds>(idle).count());
  for (const auto& each : doors_) {
    const int descriptor = each->descriptor.load(std::memory_order_relaxed);
    if (descriptor < 0) continue;
    const std::string id = std::to_string(descriptor) + ':';
    rows.emplace_back(id + "addr", stats_address(descriptor, false));
    rows.emplace_back(id + "state", "conn_listening");
    rows.emplace_back(id + "secs_since_last_cmd", seconds);
  }
}

void listener::serve(bool open) {
  if (open == serving_) return;
  serving_ = open;
  if (open) {
    if (!draining_) open_doors();
    return;
  }
  close_doors();
  for (const auto& each : workers_) each->close_all();
}

void listener::drain(bool on) {
  if (on == draining_) return;
  draining_ = on;
  if (!serving_) return;
  if (on)
    close_doors();
  else
    open_doors();
}

void listener::close_doors() {
  accepting_.store(false, std::memory_order_relaxed);
  retry_.cancel();
  breath_.cancel();
  paused_ = false;
  for (const auto& each : doors_) {
    // Closed to end listening, and bound again at once to keep the address. If that fails it is
    // tried again when the door is to be opened.
    close(*each);
    error_code ignored;
    bind(*each, ignored);
    each->complained = false;
  }
}

void listener::open_doors() {
  bool all = true;
  for (const auto& each : doors_) {
    if (each->listening) continue;
    error_code ec;
    if (!each->acceptor.is_open()) bind(*each, ec);
    if (!ec) each->acceptor.listen(options_.backlog, ec);
    if (ec) {
      all = false;
      if (!each->complained)
        spdlog::error("failed to listen on {}: {}; trying again", name_of(*each), ec.message());
      each->complained = true;
      error_code ignored;
      each->acceptor.close(ignored);
      continue;
    }
    if (each->complained) spdlog::info("listening on {}", name_of(*each));
    each->listening = true;
    each->descriptor.store(each->acceptor.native_handle(), std::memory_order_relaxed);
    accepting_.store(true, std::memory_order_relaxed);
    wait(*each);
  }
  if (all) return;
  retry_.expires_after(retry_interval);
  retry_.async_wait([this](error_code ec) {
    if (!ec && serving_ && !draining_) open_doors();
  });
}

void listener::wait(door& which) {
  if (std::exchange(which.waiting, true)) return;
  which.acceptor.async_wait(tcp_acceptor::wait_read, [this, &which](error_code ec) {
    which.waiting = false;
    if (!serving_ || !which.listening || paused_) return;
    // Cancelled by closing, and the door has been opened again since.
    if (ec) return wait(which);
    accept(which);
  });
}

void listener::accept(door& which) {
  for (int i = 0; i < accepts_per_event; ++i) {
    if (!options_.reject_at_limit && at_limit()) return pause("the limit of connections");
    const int socket =
        ::accept4(which.acceptor.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      take(which, socket);
      continue;
    }
    // A client that gave up in the queue is no reason to stop; neither is a signal.
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (out_of_resources(errno)) return pause(std::generic_category().message(errno));
    break;
  }
  wait(which);
}

void listener::take(door& which, int socket) {
  if (!counts_.enter(options_.connections_max)) {
    // The socket's buffer is empty: this fits or the client is gone.
    [[maybe_unused]] const ssize_t n =
        ::send(socket, too_many.data(), too_many.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::close(socket);
    return;
  }
  if (spdlog::should_log(spdlog::level::debug))
    spdlog::debug("client {}: connected from {}", socket, peer_name(socket));
  last_accept_.store(now().steady.time_since_epoch().count(), std::memory_order_relaxed);
  workers_[next_worker_]->adopt(socket, which.tls);
  next_worker_ = (next_worker_ + 1) % workers_.size();
}

// Every door waits, or the others would spin on what this one cannot have.
void listener::pause(const std::string& why) {
  counts_.accepting_paused();
  accepting_.store(false, std::memory_order_relaxed);
  if (std::exchange(paused_, true)) return;
  if (complaints_.now()) spdlog::warn("accepting pauses: {}", why);
  paused_at_ = std::chrono::steady_clock::now();
  breathe();
}

void listener::breathe() {
  breath_.expires_after(breath);
  breath_.async_wait([this](error_code ec) {
    if (!ec && serving_ && !draining_) finish_pause();
  });
}

void listener::finish_pause() {
  if (!options_.reject_at_limit && at_limit()) return breathe();
  counts_.accepting_resumed(std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - paused_at_));
  paused_ = false;
  accepting_.store(true, std::memory_order_relaxed);
  for (const auto& each : doors_)
    if (each->listening) wait(*each);
}

}  // namespace tandem::proxy
