// One simulated host: clocks of its own, a store and a node (the real ones), and the sessions
// between the node and the network. It can crash, restart empty, and be paused like a stopped
// process, for which time goes on.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/replication/node.h"
#include "common/service/store.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"

namespace tandem::sim {

struct machine_config {
  std::string name;
  host_id id = 0;
  std::optional<host_id> peer;  // whom it dials; none: it only listens
  service::store_options store;
  replication::node_options node;
};

class machine final : public host {
 public:
  // `looked` is called often, between steps.
  machine(world& w, network& n, machine_config config, std::function<void(machine&)> looked);

  void start();
  void crash(bool reset);  // peers are told by a reset, or by nothing at all
  void pause();
  void resume();
  void step_clock(micros by) { clock_offset_ += by; }
  void set_drift(double rate) { drift_ = rate; }

  bool up() const noexcept { return node_ != nullptr; }
  bool paused() const noexcept { return paused_; }
  bool serving() const noexcept { return up() && !paused_ && serving_; }
  std::uint64_t incarnation() const noexcept { return incarnation_; }
  const machine_config& config() const noexcept { return config_; }
  machine_config& config() noexcept { return config_; }
  service::store& data() { return *store_; }
  replication::node_status status() const { return node_->status(now()); }
  instant now() const;
  // A client's work on the store; then the node is told.
  void execute(const std::function<void(service::store&, instant)>& command);

  // --- host ----------------------------------------------------------------------------------
  bool listening() const override { return up(); }
  void on_connected(connection_id c) override;
  void on_connect_failed(connection_id c, const std::string& why) override;
  void on_accepted(connection_id c) override;
  void on_bytes(connection_id c, int end, std::string_view bytes) override;
  void on_sent(connection_id c, int end, std::size_t bytes) override;
  void on_closed(connection_id c, int end, const std::string& why) override;

 private:
  using socket = std::pair<connection_id, int>;

  // Runs `work` now, or when the pause ends; not at all once this incarnation is over.
  void guarded(std::function<void()> work);
  void step(const replication::any_event& e);
  void obey(const replication::any_effect& e);
  void schedule_tick();

  world& world_;
  network& network_;
  machine_config config_;
  const std::function<void(machine&)> looked_;

  std::unique_ptr<service::store> store_;
  std::unique_ptr<replication::node> node_;
  std::uint64_t incarnation_ = 0;
  bool serving_ = false;
  bool paused_ = false;
  std::deque<std::function<void()>> deferred_;
  std::uint64_t steps_ = 0;
  micros clock_offset_ = 0;
  double drift_ = 0;
  std::uint64_t tick_ = 0;  // of the tick that is scheduled; older ones are void
  bool tick_scheduled_ = false;
  steady_time tick_at_{};
  replication::session_id next_accepted_ = 2;
  std::map<socket, replication::session_id> sessions_;
  std::map<replication::session_id, socket> sockets_;
  std::map<connection_id, replication::session_id> dialing_;
};

}  // namespace tandem::sim
