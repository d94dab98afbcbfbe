// What a daemon tells of itself: the rows of `stats` and its parts that only the process knows.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/replication/status_rows.h"
#include "proxy/clock.h"
#include "proxy/daemon.h"
#include "proxy/log.h"

namespace tandem::proxy {
namespace {

using replication::one_word;
using service::stat_row;

// What one key takes of a journal at the most, and so what Repcached's -q counts: a key of 250
// bytes and its entry's head.
constexpr std::uint64_t journal_entry_bytes = 259;

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

const char* yes_no(bool value) {
  return value ? "yes" : "no";
}

std::string comma_joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ",") + text;
  return all;
}

std::string octal(unsigned mode) {
  char text[16];
  std::snprintf(text, sizeof text, "%o", mode);
  return text;
}

// Rounded up, so that a short time does not look like none.
std::string whole_seconds(std::chrono::milliseconds time) {
  return std::to_string(std::chrono::ceil<std::chrono::seconds>(time).count());
}

std::string file_or_null(const std::string& path) {
  return path.empty() ? "NULL" : one_word(path);
}

// As memcached writes them: verify modes and key formats are OpenSSL's numbers.
void add_tls(const config::tls_options& tls, std::vector<stat_row>& rows) {
  constexpr std::array versions = {"tlsv1.0", "tlsv1.1", "tlsv1.2", "tlsv1.3"};
  constexpr std::array verify = {"0", "1", "3"};
  rows.insert(rows.end(),
              {{"ssl_enabled", yes_no(tls.enabled)},
               {"ssl_chain_cert", file_or_null(tls.certificate_file)},
               {"ssl_key", file_or_null(tls.key_file)},
               {"ssl_verify_mode", verify[static_cast<std::size_t>(tls.verify)]},
               {"ssl_keyformat", tls.format == config::key_format::pem ? "1" : "2"},
               {"ssl_ciphers", file_or_null(tls.ciphers)},
               {"ssl_ca_cert", file_or_null(tls.ca_file)},
               {"ssl_wbuf_size", std::to_string(tls.write_buffer)},
               {"ssl_session_cache", yes_no(tls.session_cache)},
               {"ssl_kernel_tls", yes_no(tls.kernel_tls)},
               {"ssl_min_version", versions[static_cast<std::size_t>(tls.min_version)]}});
}

}  // namespace

// How the peer has to show who it is.
const char* daemon::link_security() const {
  const config::replication_options& link = options_.replication;
  if (link.secret_file) return link.tls_certificate ? "secret+tls" : "secret";
  return link.tls_certificate ? "tls" : "none";
}

service::process_facts daemon::facts() const {
  service::process_facts facts;
  facts.pid = ::getpid();
  facts.uptime_seconds =
      std::chrono::duration_cast<std::chrono::seconds>(now().steady - started_).count();
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  facts.rusage_user = seconds(usage.ru_utime);
  facts.rusage_system = seconds(usage.ru_stime);
  facts.connections_max = options_.listen.connections_max;
  facts.connections_current = counts_.current();
  facts.connections_total = counts_.total();
  facts.connections_rejected = counts_.rejected();
  facts.connection_structures = counts_.peak();
  facts.listen_disabled = counts_.paused();
  facts.listen_disabled_microseconds = counts_.paused_microseconds();
  facts.accepting = listener_->accepting();
  facts.threads = static_cast<unsigned>(workers_.size());
  facts.verbosity = log_verbosity();
  return facts;
}

std::vector<stat_row> daemon::settings() const {
  const config::listen_options& listen = options_.listen;
  std::vector<stat_row> rows = {
      {"tcpport", std::to_string(listen.tcp ? listen.port : 0)},
      {"inter", listen.addresses.empty() ? "NULL" : comma_joined(listen.addresses)},
      {"domain_socket", listen.unix_socket.empty() ? "NULL" : one_word(listen.unix_socket)},
      {"umask", octal(listen.unix_mask)},
      {"auth_enabled_ascii", options_.auth.file.empty() ? "no" : one_word(options_.auth.file)},
      {"maxconns_fast", yes_no(listen.reject_at_limit)},
      {"idle_timeout", whole_seconds(listen.idle_timeout)},
      {"write_timeout", whole_seconds(listen.write_timeout)},
      {"reqs_per_event", std::to_string(options_.workers.requests_per_event)},
      {"tcp_backlog", std::to_string(listen.backlog)},
      {"replication", options_.replication.enabled ? "yes" : "no"},
      {"replication_port",
       std::to_string(options_.replication.listen_port.value_or(options_.replication.port))},
  };
  add_tls(options_.tls, rows);
  return rows;
}

std::vector<stat_row> daemon::replication() const {
  if (!link_) return {{"replication", "OFF"}};
  const replication::node_status s = link_->status();
  const std::uint64_t journal_entries = journal_bytes_ / journal_entry_bytes;
  std::vector<stat_row> rows = {
      {"replication", std::string(to_string(s.role))},
      {"repcached_version", MEMTANDEM_VERSION},
      {"repcached_qi_free",
       std::to_string(journal_entries - std::min(journal_entries, s.lag_records))},
      {"run_id", std::to_string(run_id_)},
      {"link_security", link_security()},
  };
  for (auto& row : replication::status_rows(s)) rows.push_back(std::move(row));
  rows.emplace_back("ack", to_string(acks_ ? acks_->mode() : replication::ack_mode::async));
  rows.emplace_back("ack_errors", std::to_string(acks_ ? acks_->errors() : 0));
  return rows;
}

std::vector<stat_row> daemon::connections() const {
  std::vector<stat_row> rows;
  const steady_time at = now().steady;
  listener_->describe(rows, at);
  for (const auto& each : workers_) each->describe_sessions(rows, at);
  // As memcached lists them, by descriptor. A row is named "<descriptor>:addr" and the like.
  std::stable_sort(rows.begin(), rows.end(), [](const stat_row& one, const stat_row& other) {
    return std::atoi(one.first.c_str()) < std::atoi(other.first.c_str());
  });
  return rows;
}

void daemon::set_verbosity(int level) {
  set_log_verbosity(level);
}

// For `systemctl status`.
std::string daemon::status_sentence() const {
  if (!link_) return "serving, replication is off";
  const replication::node_status s = link_->status();
  const std::string lag = ", lag " + std::to_string(s.lag_milliseconds) + " ms" +
                          (s.draining ? ", drained: no new clients" : "");
  switch (s.role) {
    case replication::role_state::init:
      return "looking for the peer " + s.peer;
    case replication::role_state::syncing:
      return "syncing from " + s.peer;
    case replication::role_state::slave:
      return "slave in sync with " + s.peer + lag;
    case replication::role_state::master:
      if (!s.linked) return std::string("master, no peer") + (s.draining ? ", drained" : "");
      return (s.peer_in_sync ? "master, in sync with " : "master, filling ") + s.peer + lag;
  }
  return "";
}

}  // namespace tandem::proxy
