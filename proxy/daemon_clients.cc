// What clients may ask of the process itself: to let them in, to end it, to load its certificates;
// and what it tells of serving them.
#include <string>
#include <string_view>

#include "proxy/clock.h"
#include "proxy/daemon.h"
#include "proxy/log.h"
#include "proxy/session.h"

namespace tandem::proxy {
namespace {

std::string requester() {
  const session* const who = session::running();
  return who == nullptr ? "a client" : who->name();
}

}  // namespace

bool daemon::authenticate(std::string_view user, std::string_view password) {
  if (users_ && users_->accept(user, password)) return true;
  // Not whom it claims to be: a mistyped password may stand there.
  spdlog::debug("{}: authentication failure", requester());
  return false;
}

void daemon::flush_requested(bool allowed) {
  {
    const std::lock_guard guard(flush_mutex_);
    if (!flush_lines_.now()) return;
  }
  spdlog::warn("flush_all from {}{}", requester(), allowed ? "" : ": refused");
}

void daemon::shut_down(bool graceful) {
  spdlog::info("stopping: {} sent shutdown{}", requester(), graceful ? " graceful" : "");
  context_.stop();
}

std::string daemon::refresh_certificates() {
  if (!tls_) return "Error TLS not enabled";
  std::string wrong = tls_->reload();
  if (wrong.empty())
    spdlog::info("TLS: the certificates are loaded again");
  else
    spdlog::error("TLS: {}; the certificates stay as they were", wrong);
  return wrong;
}

std::vector<service::stat_row> daemon::client_rows() const {
  std::vector<service::stat_row> rows;
  std::uint64_t idle = 0, write = 0;
  for (const auto& each : workers_) {
    idle += each->idle_kicks().get();
    write += each->write_kicks().get();
  }
  if (options_.listen.idle_timeout.count() > 0)
    rows.emplace_back("idle_kicks", std::to_string(idle));
  rows.emplace_back("write_kicks", std::to_string(write));
  if (backend_) backend_->describe(rows);
  if (!tls_) return rows;
  const tls_counters& counters = tls_->counters();
  if (options_.tls.session_cache)
    rows.emplace_back("ssl_new_sessions", std::to_string(counters.new_sessions.load()));
  rows.emplace_back("ssl_handshake_errors", std::to_string(counters.handshake_errors.load()));
  rows.emplace_back("ssl_proto_errors", std::to_string(counters.protocol_errors.load()));
  rows.emplace_back("time_since_server_cert_refresh",
                    std::to_string(tls_->since_loaded(now().steady).count()));
  return rows;
}

}  // namespace tandem::proxy
