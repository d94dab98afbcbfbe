// The HTTP port for operators, and HAProxy's agent-check port: a thread of its own, so that whoever
// floods it or hangs on it takes nothing from clients or the link. It reads the node's state as
// `stats` does, at most once in look_interval however many ask.
//
// Limits: connections_max connections; one more takes the place of the one that has been idle for
// longest, and of the oldest if none is. requests_per_interval requests in each pace_interval, then
// the rest waits. What one connection may hold: admin_connection.h.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/admin/event_log.h"
#include "common/admin/snapshot.h"
#include "config/options.h"
#include "proxy/admin_connection.h"
#include "proxy/asio.h"
#include "proxy/tls.h"

namespace tandem::proxy {

class admin_server final : private admin_connection_owner {
 public:
  static constexpr std::size_t connections_max = 256;
  static constexpr std::chrono::milliseconds look_interval{50};
  static constexpr std::chrono::milliseconds pace_interval{100};
  static constexpr unsigned requests_per_interval = 50;

  // Makes a snapshot; called in this thread.
  using looker = std::function<admin::snapshot()>;
  // Starts a command of the core's, said by `who`; answer() is to be called with its id once.
  using commander = std::function<void(std::uint64_t id, std::string text, const std::string& who)>;

  // Binds; throws start_error. The events outlive the server.
  admin_server(const config::admin_options& options, const admin::event_log& events, looker look,
               commander command);
  ~admin_server();

  void start();
  // Closes everything and waits for the thread.
  void stop();

  // --- any thread ----------------------------------------------------------------------------
  void answer(std::uint64_t id, bool ok, std::string text);
  // What is wrong with the files of token and certificate now, or "".
  std::string wrong_files() const;
  // Reads them again. Empty, or what is wrong: then all is as before.
  std::string reload();

 private:
  struct door {
    door(asio::io_context& context, bool is_agent)
        : acceptor(context), breath(context), agent(is_agent) {}
    tcp_acceptor acceptor;
    steady_timer breath;
    bool agent;
  };

  void open(const std::vector<std::string>& addresses, std::uint16_t port, bool agent);
  void wait(door& which);
  void accept(door& which);
  void take(int socket, bool agent);
  void make_room();
  const admin::snapshot& look();
  std::string token() const;
  void asked(const std::shared_ptr<admin_connection>& by,
             const admin::site_request& request) override;
  std::chrono::milliseconds pause() override;
  void forget(const admin_connection* which) override;

  const config::admin_options options_;
  const looker look_;
  const commander command_;
  asio::io_context context_{1};
  work_guard work_{context_.get_executor()};
  std::vector<std::unique_ptr<door>> doors_;
  std::unique_ptr<tls_context> tls_;  // null: plain
  admin::site site_;
  std::optional<admin::snapshot> seen_;
  steady_timer::time_point seen_at_;
  steady_timer::time_point pace_began_;
  unsigned paced_ = 0;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, std::weak_ptr<admin_connection>> waiting_;
  std::map<const admin_connection*, std::shared_ptr<admin_connection>> connections_;
  mutable std::mutex token_mutex_;
  std::string token_;  // under token_mutex_
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tandem::proxy
