// What operators are told of the node, and of what has happened to it. Any thread.
#include <algorithm>
#include <string>
#include <utility>

#include "proxy/clock.h"
#include "proxy/daemon.h"

namespace tandem::proxy {
namespace {

std::vector<std::string> addresses_of(const config::listen_options& listen) {
  std::vector<std::string> all;
  if (listen.tcp && listen.addresses.empty()) all.push_back("*:" + std::to_string(listen.port));
  for (const std::string& each : listen.addresses) {
    config::listener entry;
    if (!listen.tcp || !config::parse_listener(each, entry).empty()) continue;
    if (entry.where.port == 0) entry.where.port = listen.port;
    if (entry.where.host.empty()) entry.where.host = "*";
    all.push_back(config::format_endpoint(entry.where));
  }
  if (!listen.unix_socket.empty()) all.push_back(listen.unix_socket);
  return all;
}

}  // namespace

admin::snapshot daemon::look() const {
  admin::snapshot s;
  s.taken = now();
  s.run_id = run_id_;
  s.process = facts();
  s.addresses = addresses_of(options_.listen);
  s.client_rows = client_rows();
  s.commands_ever = service::sum_of(counters_);
  s.commands = baseline().since_reset(s.commands_ever);
  for (const auto& each : workers_) each->latencies().add_to(s.latencies);
  s.items = data_.statistics();
  s.memory_used = data_.used_bytes();
  s.memory_limit = data_.memory_limit();
  s.item_size_max = data_.item_size_max();
  s.replication = link_ != nullptr;
  if (link_) s.node = link_->status();
  s.cluster = options_.replication.cluster;
  s.link_security = link_security();
  s.ack = acks_ ? acks_->mode() : replication::ack_mode::async;
  s.ack_errors = acks_ ? acks_->errors() : 0;
  s.journal_bytes = data_.journal_bytes();
  s.promotions = desk_->events().promotions();
  s.sentence = status_sentence();
  const std::lock_guard guard(pending_mutex_);
  s.pending_restart = pending_;
  return s;
}

// In the link's thread.
void daemon::noted(replication::effect::level severity, const std::string& text) {
  desk_->events().add(now().wall, severity, text);
}

}  // namespace tandem::proxy
