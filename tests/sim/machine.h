// One simulated host: clocks of its own, a store and a node (the real ones), and the sessions
// between the node and the network. It can crash between any two effects, restart empty, and be
// paused like a stopped process, for which time goes on.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "common/replication/node.h"
#include "common/service/store.h"
#include "tests/sim/ack_withholder.h"
#include "tests/sim/client_replies.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"

namespace tandem::sim {

struct machine_config {
  std::string name;
  host_id id = 0;
  std::optional<host_id> peer;  // whom it dials; none: it only listens
  service::store_options store;
  replication::node_options node;
  micros clock_offset = 0;    // of its wall clock, at the start
  int drift_per_million = 0;  // of both its clocks, at the start
};

class machine final : public host {
 public:
  // `looked` is called often, between steps; `met` when its node has agreed with that of a host.
  machine(world& w, network& n, const machine_config& config, std::function<void(machine&)> looked,
          std::function<void(machine&, host_id)> met);

  // `with_data`: else it is a guest (node_options::guest) as long as it lives.
  void start(bool with_data = true);
  void crash(bool reset);  // peers are told by a reset, or by nothing at all
  // After so many effects and clients' commands from now on `die` is called, which crashes it.
  void doom(unsigned after, std::function<void()> die);
  void pause();
  void resume();
  void set_clock(micros offset) { clock_offset_ = offset; }
  micros clock_offset() const noexcept { return clock_offset_; }
  void set_drift(int per_million);
  void withhold_acks(bool on) { withholding_ = on; }
  // An operator's command; the answer is traced.
  void order(const std::string& text);

  bool up() const noexcept { return node_ != nullptr; }
  bool paused() const noexcept { return paused_; }
  bool without_data() const noexcept { return up() && config_.node.guest; }
  // ... what it has.
  bool serving() const noexcept { return up() && !paused_ && serving_ && !without_data(); }
  // Clients' changes are executed, rather than refused or held back.
  bool takes_changes() const noexcept {
    return serving() && writes_here_ && !(replies_ && replies_->full());
  }
  std::uint64_t incarnation() const noexcept { return incarnation_; }
  const machine_config& config() const noexcept { return config_; }
  machine_config& config() noexcept { return config_; }
  service::store& data() { return *store_; }
  replication::node_status status() const { return node_->status(now()); }
  // As of the last step that changed them; up() only.
  replication::role_state role() const noexcept { return role_; }
  std::uint64_t term() const noexcept { return term_; }
  instant now() const;
  // A client's work on the store; then the node is told.
  void execute(const std::function<void(service::store&, instant)>& command);
  // Within it: the reply to what was journaled up to the ticket waits as replication.ack says.
  // `promised` is called when its client may rely on both nodes' having it, or never.
  void reply(const service::ack_ticket& ticket, std::function<void()> promised);

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
  void send(const socket& s, const std::string& bytes);
  void run_hook(std::uint64_t id);
  void raise_fence(std::uint64_t id);
  void look_at_replies();
  void count_down();
  void schedule_tick();
  micros local() const;

  world& world_;
  network& network_;
  machine_config config_;
  const std::function<void(machine&)> looked_;
  const std::function<void(machine&, host_id)> met_;

  std::unique_ptr<service::store> store_;
  std::unique_ptr<replication::node> node_;
  std::unique_ptr<client_replies> replies_;  // null: none wait
  bool looking_at_replies_ = false;          // at a time that is set
  std::uint64_t incarnation_ = 0;
  bool serving_ = false;
  bool writes_here_ = true;
  bool paused_ = false;
  std::deque<std::function<void()>> deferred_;
  std::uint64_t steps_ = 0;
  replication::role_state role_ = replication::role_state::init;
  std::uint64_t term_ = 0;
  bool role_changed_ = false;
  host_id heard_ = 0;  // whose bytes the step under way is about
  unsigned doom_ = 0;  // effects left to live; 0: no such fate
  std::function<void()> die_;
  micros clock_offset_;
  int drift_per_million_;
  micros drift_since_ = 0;    // world's time
  micros drifted_until_ = 0;  // this machine's time then
  bool withholding_ = false;
  std::map<socket, ack_withholder> withholders_;
  std::uint64_t tick_ = 0;  // of the tick that is scheduled; older ones are void
  bool tick_scheduled_ = false;
  steady_time tick_at_{};
  replication::session_id next_accepted_ = 2;
  std::uint64_t next_order_ = 1;
  std::map<socket, replication::session_id> sessions_;
  std::map<replication::session_id, socket> sockets_;
  std::map<connection_id, replication::session_id> dialing_;
};

}  // namespace tandem::sim
