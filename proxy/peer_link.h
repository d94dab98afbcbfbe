// The link to the peer: a thread that drives replication::node, carries out its effects in order
// and tells it what happens to sockets and time. All decisions are the node's.
//
// Limits: sessions_max accepted connections at once (the node keeps fewer in handshake, and times
// them); leaving_max that are closed and wait for the other side to read why; a socket's unsent
// bytes are bounded by the node.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/replication/node.h"
#include "common/service/peer_request.h"
#include "common/service/store.h"
#include "config/options.h"
#include "proxy/address.h"
#include "proxy/asio.h"
#include "proxy/dialer.h"
#include "proxy/link_keys.h"
#include "proxy/link_socket.h"
#include "proxy/log.h"
#include "proxy/peer_port.h"

namespace tandem::proxy {

// What the link wants of the process around it. Called in the link's thread.
class peer_link_owner {
 public:
  // effect::serve.
  virtual void serve(bool open) = 0;
  // effect::answer, to a command().
  virtual void answered(std::uint64_t id, bool ok, std::string text) = 0;
  // effect::note.
  virtual void noted(replication::effect::level severity, const std::string& text) = 0;
  // effect::run_hook; the link's hook_done() is to be called once.
  virtual void run_hook(replication::effect::run_hook what) = 0;
  virtual void close_clients() = 0;
  virtual void drain(bool on) = 0;
  // effect::routes.
  virtual void routed(const replication::effect::routes& what) = 0;
  // effect::fence; `done` is to be called once, in any thread.
  virtual void fence(std::function<void()> done) = 0;
  // effect::execute; `done` is called once, in this call or a later one.
  using executed = std::function<void(service::peer_request::result)>;
  virtual void execute(std::string_view request, executed done) = 0;

 protected:
  ~peer_link_owner() = default;
};

class peer_link final : private link_socket_owner {
 public:
  static constexpr std::size_t sessions_max = 32;
  static constexpr std::size_t leaving_max = 64;

  // `addresses`: where to open the replication port. `acks`: advanced by what the peer confirms;
  // null: nobody waits for that. `port`: the data as the peer is to see it. Throws start_error.
  // Store, gate and owner outlive the link.
  peer_link(const config::replication_options& options, const config::hook_options& hooks,
            const std::vector<std::string>& addresses, peer_trust trust, std::uint64_t run_id,
            service::store& data, replication::data_port& port, service::ack_gate* acks,
            peer_link_owner& owner);
  ~peer_link();

  // `rests`: there is no data before the first go_on(). A node that waits longer for it than it
  // would for a peer is a guest until then.
  void start(bool rests = false);
  // Closes every connection and waits for the thread.
  void stop();
  // Any thread. There is no data: the node is a guest (replication/node.h) until it goes on as in a
  // process that has just started; `then` is called in the link's thread, when nothing of the data
  // is in use there, and `before` there too, before it goes on.
  void rest(std::uint64_t run_id, std::function<void()> then);
  void go_on(std::uint64_t run_id, std::function<void()> before);

  // --- any thread ----------------------------------------------------------------------------
  replication::node_status status() const;
  // Something was journaled. A look at a flag, unless the link has gone idle since.
  void mutated() noexcept {
    if (armed_.load(std::memory_order_relaxed) && armed_.exchange(false)) wake();
  }
  // How a program of owner.run_hook() ended.
  void hook_done(std::uint64_t id, bool ok, std::string how);
  // A line from an operator: owner.answered() will be called once with the id. Ids are never
  // reused.
  void command(std::uint64_t id, std::string text);
  // A request of a client that the master is to execute; `done` is called once, in the link's
  // thread.
  using forward_handler = std::function<void(replication::forward_outcome, std::string)>;
  void forward(std::string request, forward_handler done);
  // A reply has waited for ack_timeout. Told to the node once for all that say so meanwhile.
  void acknowledgement_late();
  // Reads secrets and certificates again, for the next handshake. Blocks for the time of reading.
  void reload_keys();
  void post(std::function<void()> call) { asio::post(context_, std::move(call)); }
  // After stop(): a name server has not answered yet, and the link's end waits for it.
  bool looking_up() const noexcept { return dialer_ && dialer_->looking_up(); }

 private:
  void wake();
  void step(const replication::any_event& what);
  void be_guest(std::uint64_t run_id, const std::function<void()>& between);
  void live_anew(std::uint64_t run_id, bool guest, const std::function<void()>& between);
  void execute_requests();
  void arm();
  void set_timer(steady_time deadline);
  void obey(const replication::effect::dial& what);
  void obey(replication::effect::send& what);
  void obey(const replication::effect::close& what);
  void obey(const replication::effect::serve& what);
  void obey(const replication::effect::replies& what);
  void obey(const replication::effect::routes& what);
  void obey(const replication::effect::fence& what);
  void obey(replication::effect::execute& what);
  void obey(replication::effect::forward_done& what);
  void obey(replication::effect::note& what);
  void obey(replication::effect::answer& what);
  void obey(replication::effect::run_hook& what);
  void obey(const replication::effect::close_clients& what);
  void obey(const replication::effect::drain& what);
  void accepted(tcp_socket socket);
  bool open_session(replication::session_id session, tcp_socket socket);
  void let_go(std::shared_ptr<link_socket> socket);
  void link_received(replication::session_id session, std::string_view bytes) override;
  void link_sent(replication::session_id session, std::size_t bytes) override;
  void link_closed(replication::session_id session, const std::string& reason,
                   bool untrusted) override;

  const config::replication_options options_;
  const peer_trust trust_;
  const link_keys keys_;
  service::store& data_;
  replication::data_port& data_port_;  // the store, or what stands before it
  service::ack_gate* const acks_;
  peer_link_owner& owner_;
  asio::io_context context_{1};
  work_guard work_{context_.get_executor()};
  peer_port port_;
  std::optional<config::endpoint> peer_;  // to dial
  mutable std::mutex node_mutex_;         // never held across I/O or a call out
  replication::node_options node_options_;
  std::unique_ptr<replication::node> node_;
  bool rests_ = false;
  std::uint64_t life_ = 0;  // counts the nodes
  std::shared_ptr<dialer> dialer_;
  std::map<replication::session_id, std::shared_ptr<link_socket>> sessions_;
  std::deque<std::weak_ptr<link_socket>> leaving_;
  std::size_t accepted_sessions_ = 0;
  replication::session_id next_accepted_id_ = 2;
  steady_timer timer_;
  std::optional<steady_time> timer_at_;  // when it will go off; unset: it is not running
  std::atomic<bool> armed_{false};
  std::map<std::uint64_t, forward_handler> forwards_;  // under way
  std::uint64_t next_forward_ = 1;
  std::deque<replication::effect::execute> to_execute_;  // of the step under way
  bool executing_ = false;
  std::atomic<bool> late_{false};     // the node is about to hear of it
  std::uint64_t told_mutations_ = 0;  // the store's count when the node last heard of any
  bool warned_of_trust_ = false;
  rarely refusals_{std::chrono::seconds(10)};
  std::thread thread_;
};

}  // namespace tandem::proxy
