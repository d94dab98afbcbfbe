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
    if (!rests_) return step(event::started{});
    timer_.expires_after(options_.join_timeout);
    timer_.async_wait([this](error_code ec) {
      if (!ec && rests_) be_guest(node_options_.run_id, [] {});
    });
  });
  thread_ = std::thread([this] { context_.run(); });
  ::pthread_setname_np(thread_.native_handle(), "link");
}

void peer_link::rest(std::uint64_t run_id, std::function<void()> then) {
  asio::post(context_, [this, run_id, done = std::move(then)] { be_guest(run_id, done); });
}

void peer_link::be_guest(std::uint64_t run_id, const std::function<void()>& between) {
  const replication::node_status before = status();
  const bool reigned = before.role == replication::role_state::master;
  node_options_.reigned = reigned ? std::optional(before.term) : std::nullopt;
  live_anew(run_id, true, between);
}

void peer_link::go_on(std::uint64_t run_id, std::function<void()> before) {
  asio::post(context_,
             [this, run_id, first = std::move(before)] { live_anew(run_id, false, first); });
}

// Nothing that the node before it was asked for will be answered. `between`: that one is gone, and
// the new one has not begun.
void peer_link::live_anew(std::uint64_t run_id, bool guest, const std::function<void()>& between) {
  rests_ = false;
  ++life_;
  if (dialer_) dialer_->cancel();
  for (const auto& [id, socket] : sessions_) socket->drop();
  sessions_.clear();
  accepted_sessions_ = 0;
  timer_.cancel();
  timer_at_.reset();
  node_options_.run_id = run_id;
  node_options_.guest = guest;
  {
    const std::lock_guard guard(node_mutex_);
    node_ = std::make_unique<replication::node>(node_options_, data_port_, run_id);
  }
  between();
  obey(replication::effect::routes{});
  obey(replication::effect::replies{replication::reply_rule::when_confirmed});
  for (auto& [id, done] : std::exchange(forwards_, {}))
    done(replication::forward_outcome::failed, {});
  step(event::started{});
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
