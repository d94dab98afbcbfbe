// A link's beginning, its rests and its end.
#include <pthread.h>

#include <utility>

#include "proxy/peer_link.h"

namespace tandem::proxy {

namespace event = replication::event;

void peer_link::start(bool rests) {
  rests_ = rests;
  asio::post(context_, [this] {
    port_.start([this] { step(event::listening{}); },
                [this](tcp_socket socket) { accepted(std::move(socket)); });
    step(event::started{});
  });
  thread_ = std::thread([this] { context_.run(); });
  ::pthread_setname_np(thread_.native_handle(), "link");
}

void peer_link::rest(std::function<void()> then) {
  asio::post(context_, [this, done = std::move(then)] {
    rests_ = true;
    if (dialer_) dialer_->cancel();
    for (const auto& [id, socket] : sessions_) socket->drop();
    sessions_.clear();
    accepted_sessions_ = 0;
    timer_.cancel();
    timer_at_.reset();
    live_anew(node_options_.run_id);
    done();
  });
}

void peer_link::go_on(std::uint64_t run_id, std::function<void()> before) {
  asio::post(context_, [this, run_id, first = std::move(before)] {
    first();
    rests_ = false;
    live_anew(run_id);
    step(event::started{});
  });
}

// Nothing that the node before it was asked for will be answered.
void peer_link::live_anew(std::uint64_t run_id) {
  ++life_;
  node_options_.run_id = run_id;
  {
    const std::lock_guard guard(node_mutex_);
    node_ = std::make_unique<replication::node>(node_options_, data_port_, run_id);
  }
  owner_.routed({});
  for (auto& [id, done] : std::exchange(forwards_, {}))
    done(replication::forward_outcome::failed, {});
}

void peer_link::stop() {
  if (!thread_.joinable()) return;
  asio::post(context_, [this] {
    port_.stop();
    if (dialer_) dialer_->cancel();
    for (const auto& [id, socket] : sessions_) socket->drop();
    sessions_.clear();
    timer_.cancel();
    // A lookup under way would keep the loop running.
    context_.stop();
  });
  thread_.join();
}

}  // namespace tandem::proxy
