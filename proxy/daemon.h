// The composition root: store, workers, listener and link of one process, and what they tell each
// other. Also what `stats` asks of the process (service::server).
//
// Threads: the control thread (run's caller) has signals, accepting, housekeeping and the service
// manager; the workers have the clients; the link has the peer.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "common/admin/snapshot.h"
#include "common/service/peer_request.h"
#include "common/service/routes.h"
#include "common/service/server.h"
#include "common/service/sidecar.h"
#include "common/service/store.h"
#include "config/options.h"
#include "proxy/address.h"
#include "proxy/asio.h"
#include "proxy/backend_executor.h"
#include "proxy/backend_keeper.h"
#include "proxy/backend_pool.h"
#include "proxy/backend_watcher.h"
#include "proxy/connection_counts.h"
#include "proxy/control.h"
#include "proxy/hooks.h"
#include "proxy/listener.h"
#include "proxy/log.h"
#include "proxy/notify.h"
#include "proxy/operator_desk.h"
#include "proxy/peer_link.h"
#include "proxy/tls.h"
#include "proxy/user_file.h"
#include "proxy/worker.h"

namespace tandem::proxy {

class daemon final : public service::server, private peer_link_owner {
 public:
  // Allocates the store and opens the ports; throws start_error. No thread is running afterwards,
  // so that the caller may still change the process's user.
  daemon(const config::options& options, peer_trust trust, const notifier& manager);
  ~daemon() override;

  // Starts the threads, calls `started` in this one and returns after SIGTERM, SIGINT or SIGUSR1,
  // when everything is closed.
  void run(const std::function<void()>& started);
  // What is the daemon's in the file system, to the user that it becomes. Throws start_error.
  void give_to(uid_t user, gid_t group) const;
  // Reads the configuration again as the start did; throws config_error. Before run(); without it
  // SIGHUP looks at the files that the configuration names only.
  using rereader = std::function<config::options()>;
  void set_reread(rereader how) { reread_ = std::move(how); }
  // After run(): see peer_link::looking_up.
  bool looking_up() const noexcept { return link_ && link_->looking_up(); }

  // --- service::server -------------------------------------------------------------------------
  service::process_facts facts() const override;
  const std::vector<service::worker_statistics*>& workers() const override { return counters_; }
  std::vector<service::stat_row> settings() const override;
  std::vector<service::stat_row> replication() const override;
  std::vector<service::stat_row> connections() const override;
  std::vector<service::stat_row> client_rows() const override;
  service::command_policy policy() const override { return policy_; }
  bool authenticate(std::string_view user, std::string_view password) override;
  void flush_requested(bool allowed) override;
  void shut_down(bool graceful) override;
  std::string refresh_certificates() override;
  void set_verbosity(int level) override;
  void reset_statistics() override { counts_.reset(); }
  void mutated() override {
    if (link_) link_->mutated();
  }
  service::ack_gate* acks() noexcept override { return acks_.get(); }
  const service::write_routes* routes() noexcept override { return routes_.get(); }
  backend::lanes* backends() noexcept override { return backend_ ? &backend_->lanes() : nullptr; }
  void acknowledgement_late() override {
    if (link_) link_->acknowledgement_late();
  }

 private:
  // --- peer_link_owner, in the link's thread ---------------------------------------------------
  void serve(bool open) override;
  void answered(std::uint64_t id, bool ok, std::string text) override;
  void run_hook(replication::effect::run_hook what) override;
  void noted(replication::effect::level severity, const std::string& text) override;
  void close_clients() override;
  void drain(bool on) override;
  void routed(const replication::effect::routes& what) override {
    if (routes_) routes_->set(what);
  }
  void fence(std::function<void()> done) override;
  void execute(std::string_view request, executed done) override;

  admin::snapshot look() const;
  const char* link_security() const;
  void follow_backend();
  void admit(std::uint64_t losses);
  void command(std::uint64_t id, std::string text);
  void run_command(std::uint64_t id, std::string text);
  void watch_signals();
  void wait_for_signal();
  void hang_up();
  void reload();
  std::vector<std::string> wrong_files() const;
  void apply(const config::options& fresh);
  void keep_house();
  void report_status();
  void beat();
  void stop();
  void drain_link() const;
  std::string status_sentence() const;

  const config::options options_;
  const notifier& manager_;
  const std::uint64_t run_id_;
  const std::size_t journal_bytes_;
  const steady_time started_;
  const service::command_policy policy_;
  std::unique_ptr<user_file> users_;  // null: nobody has to authenticate
  std::unique_ptr<tls_context> tls_;  // null: TLS is off
  service::store data_;
  std::unique_ptr<service::write_routes> routes_;  // null: clients' commands are executed here
  service::worker_statistics peer_statistics_;     // of what is executed for the peer's clients
  std::unique_ptr<service::ack_gate> acks_;        // null: replication.ack is async
  std::unique_ptr<backend_pool> backend_;          // null: the data is in data_
  std::unique_ptr<service::sidecar> sidecar_;      // null: the same, or replication is off
  connection_counts counts_;
  std::atomic<bool> serving_{false};
  asio::io_context context_{1};
  signal_set signals_{context_};
  steady_timer house_timer_{context_};
  steady_timer beat_timer_{context_};
  std::unique_ptr<backend_watcher> bypass_;     // null: as sidecar_
  std::unique_ptr<backend_keeper> keeper_;      // null: as sidecar_
  std::unique_ptr<backend_executor> executor_;  // null: as sidecar_
  std::vector<std::unique_ptr<worker>> workers_;
  std::vector<service::worker_statistics*> counters_;
  std::unique_ptr<listener> listener_;
  std::unique_ptr<control_port> control_;  // null: there is no control socket
  std::unique_ptr<operator_desk> desk_;
  std::unique_ptr<peer_link> link_;  // null: replication is off
  hook_runner hooks_;
  loop_watch loops_;
  rereader reread_;
  config::options running_;            // options_, and what was changed since
  const std::string start_directory_;  // what relative paths are relative to
  mutable std::mutex pending_mutex_;
  std::vector<std::string> pending_;  // keys that wait for a restart; under pending_mutex_
  unsigned house_rounds_ = 0;
  std::string said_status_;
  std::mutex flush_mutex_;
  rarely flush_lines_{std::chrono::seconds(1)};  // under flush_mutex_
};

}  // namespace tandem::proxy
