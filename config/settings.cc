#include "config/settings.h"

#include <algorithm>

#include "config/error.h"
#include "config/text.h"

namespace tandem::config {
namespace {

// In a file the position does not say which key is meant; a variable's or a flag's name does.
std::string complaint(const key& which, const origin& at, const std::string& text) {
  const std::string name = at.from == source::file ? which.path() + ": " : "";
  return at.where.empty() ? which.path() + ": " + text : at.where + ": " + name + text;
}

std::vector<endpoint> resolved(const std::vector<std::string>& addresses, std::uint16_t port) {
  std::vector<endpoint> result;
  for (const std::string& address : addresses) {
    listener entry;
    // Only addresses that parse_list accepted get here.
    if (!parse_listener(address, entry).empty()) continue;
    endpoint& where = entry.where;
    if (where.port == 0) where.port = port;
    where.host = lower(where.host);
    result.push_back(where);
  }
  if (addresses.empty()) result.push_back({.host = "", .port = port});
  return result;
}

bool clash(const endpoint& a, const endpoint& b) {
  return a.port == b.port && (a.host.empty() || b.host.empty() || a.host == b.host);
}

}  // namespace

void settings::set(const key& which, const value& what, source from, std::string where) {
  which.set(opts_, what);
  origins_[index_of(which)] = {.from = from, .where = std::move(where), .broken = false};
}

void settings::set_broken(const key& which, const std::string& message, source from,
                          std::string where) {
  origin& at = origins_[index_of(which)];
  at = {.from = from, .where = std::move(where), .broken = true};
  fail(complaint(which, at, message));
}

void settings::apply(const key& which, const parsed& result, source from, std::string where) {
  if (result.error.empty())
    set(which, result.result, from, std::move(where));
  else
    set_broken(which, result.error, from, std::move(where));
}

void settings::set_text(const key& which, std::string_view text, source from, std::string where) {
  apply(which, parse_value(which, text), from, std::move(where));
}

void settings::set_list(const key& which, std::vector<std::string> entries, source from,
                        std::string where) {
  apply(which, parse_list(which, std::move(entries)), from, std::move(where));
}

// File names, keys and arguments come from outside; a line break in one must not look like a
// message.
void settings::fail(std::string line) {
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  if (line.size() > error_bytes_max) line.replace(error_bytes_max, std::string::npos, "...");
  if (errors_.size() < errors_max)
    errors_.push_back(std::move(line));
  else
    ++errors_left_out_;
}

bool settings::usable(std::string_view path) const {
  return !origin_of(key_at(path)).broken;
}

void settings::fail_pair(std::string_view path, std::string_view other,
                         const std::string& relation) {
  if (!usable(path) || !usable(other)) return;
  const key* blamed = &key_at(path);
  const key* against = &key_at(other);
  const bool swap = origin_of(*against).from > origin_of(*blamed).from;
  const std::string text = std::string(path) + " (" + to_yaml(*blamed, blamed->get(opts_)) + ") " +
                           relation + " " + std::string(other) + " (" +
                           to_yaml(*against, against->get(opts_)) + ")";
  const origin& at = origin_of(swap ? *against : *blamed);
  fail(at.where.empty() ? text : at.where + ": " + text);
}

void settings::check_times() {
  const replication_options& r = opts_.replication;
  if (r.dead_after <= r.heartbeat_interval)
    fail_pair("replication.dead_after", "replication.heartbeat_interval", "must be longer than");
  if (r.reconnect_delay_min > r.reconnect_delay_max)
    fail_pair("replication.reconnect_delay_min", "replication.reconnect_delay_max",
              "must not be longer than");
}

void settings::check_sizes() {
  if (opts_.cache.item_size_max > opts_.cache.memory_bytes)
    fail_pair("cache.item_size_max", "cache.memory", "must not be larger than");
  if (opts_.replication.enabled && opts_.replication.journal_bytes >= opts_.cache.memory_bytes)
    fail_pair("replication.journal", "cache.memory", "must be smaller than");
}

// Two sockets on one address and port: the second bind would fail, after the ports are half open.
void settings::check_addresses() {
  const replication_options& r = opts_.replication;
  const auto twice = [&](std::string_view path, const std::vector<endpoint>& all) {
    if (!usable(path)) return;
    for (std::size_t i = 1; i < all.size(); ++i)
      if (std::find(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(i), all[i]) !=
          all.begin() + static_cast<std::ptrdiff_t>(i))
        fail_key(path, "'" + format_endpoint(all[i]) + "' is listed twice");
  };
  const auto clients = resolved(opts_.listen.addresses, opts_.listen.port);
  twice("listen.addresses", clients);
  if (!r.enabled) return;
  const std::uint16_t port = r.listen_port.value_or(r.port);
  std::vector<endpoint> links = resolved(r.listen_addresses, port);
  twice("replication.listen_addresses", links);
  if (r.listen_addresses.empty()) {
    // The clients' hosts, at the link's own port.
    links = clients;
    for (endpoint& link : links) link.port = port;
  }
  if (!opts_.listen.tcp) return;
  for (const endpoint& link : links)
    for (const endpoint& client : clients)
      if (clash(link, client)) {
        fail_ports(r.listen_port ? "replication.listen_port" : "replication.port", link.port);
        return;
      }
}

// TLS and the UNIX socket: what is asked for must be there to be had.
void settings::check_clients() {
  const tls_options& t = opts_.tls;
  if (!opts_.listen.tcp && opts_.listen.unix_socket.empty())
    fail_key("listen.tcp", "false leaves clients no way in: name listen.unix_socket");
  if (t.enabled && t.certificate_file.empty() && usable("tls.certificate_file"))
    fail_key("tls.enabled", "TLS needs tls.certificate_file (-o ssl_chain_cert=FILE)");
  if (t.enabled && !opts_.listen.tcp)
    fail_key("tls.enabled", "TLS is for TCP, which listen.tcp switches off");
  // memcached starts so too; it is safe, and of no use.
  const std::string nobody = ": no client has a good certificate while tls.ca_file is missing";
  const key& verify = key_at("tls.verify");
  if (t.enabled && t.verify != client_certificate::none && t.ca_file.empty())
    warn(complaint(verify, origin_of(verify), to_yaml(verify, verify.get(opts_)) + nobody));
  for (const std::string& address : opts_.listen.addresses) {
    listener entry;
    if (!parse_listener(address, entry).empty() || entry.tls == listener_tls::common) continue;
    if (!t.enabled)
      fail_key("listen.addresses", "'" + address + "' names TLS, which is off (tls.enabled, -Z)");
    else if (entry.tls == listener_tls::required && t.ca_file.empty())
      warn(complaint(key_at("listen.addresses"), origin_of(key_at("listen.addresses")),
                     std::string("'").append(address).append("'").append(nobody)));
  }
}

void settings::fail_key(std::string_view path, const std::string& text) {
  fail(complaint(key_at(path), origin_of(key_at(path)), text));
}

void settings::fail_ports(std::string_view link_key, std::uint16_t port) {
  const key* blamed = &key_at(link_key);
  for (const std::string_view path :
       {link_key, std::string_view("listen.port"), std::string_view("listen.addresses"),
        std::string_view("replication.listen_addresses")}) {
    if (!usable(path)) return;
    // The defaults do not clash, so the one set in the highest layer is what to change.
    if (origin_of(key_at(path)).from > origin_of(*blamed).from) blamed = &key_at(path);
  }
  fail(complaint(*blamed, origin_of(*blamed),
                 "port " + std::to_string(port) +
                     " would be opened both for clients and for the link: change listen.port or " +
                     std::string(link_key)));
}

// TLS between the nodes is all or nothing: a certificate of this one, and whom to believe.
void settings::check_link_tls() {
  const replication_options& r = opts_.replication;
  if (r.tls_certificate && !r.tls_ca && usable("replication.tls_ca"))
    fail_key("replication.tls_certificate",
             "needs replication.tls_ca, or no certificate of the peer is good");
  if (r.tls_certificate || !usable("replication.tls_certificate")) return;
  for (const std::string_view path :
       {"replication.tls_key", "replication.tls_ca", "replication.tls_peer_name"})
    if (!std::holds_alternative<std::monostate>(key_at(path).get(opts_)))
      fail_key(path, "has no effect without replication.tls_certificate");
}

void settings::check_link() {
  const replication_options& r = opts_.replication;
  const key& peer = key_at("replication.peer");
  if (!r.peer) return;
  if (!r.enabled)
    warn(complaint(peer, origin_of(peer), "has no effect while replication.enabled is false"));
  else if (!r.insecure && !r.authenticated() && !is_loopback(r.peer->host)) {
    std::string text = complaint(
        peer, origin_of(peer),
        "the link to '" + r.peer->host +
            "' is not authenticated: whoever reaches the replication port can read and change the "
            "cache; replication.secret_file or replication.tls_certificate authenticates it, "
            "replication.insecure: true says that this is meant");
    // Repcached's flags know no such words; a file does. Nor did they know how to protect clients:
    // whoever does that must not leave the back door open by mistake.
    if (has_file_ || opts_.tls.enabled || !opts_.auth.file.empty())
      fail(std::move(text));
    else
      warn(std::move(text));
  }
}

// The operators' port: not one of the others', and no token in the clear where others may listen.
void settings::check_admin() {
  const admin_options& a = opts_.admin;
  if (a.tls_key && !a.tls_certificate && usable("admin.tls_certificate"))
    fail_key("admin.tls_key", "has no effect without admin.tls_certificate");
  const replication_options& r = opts_.replication;
  const std::pair<std::string_view, std::uint16_t> ports[] = {
      {"listen.port", opts_.listen.tcp ? opts_.listen.port : std::uint16_t{0}},
      {"replication.port", r.enabled ? r.listen_port.value_or(r.port) : std::uint16_t{0}},
      {"admin.port", a.port},
      {"admin.agent_port", a.agent_port}};
  for (const std::size_t own : {2U, 3U}) {
    const auto& [path, port] = ports[own];
    if (port == 0 || !usable(path)) continue;
    if (a.listen.empty()) fail_key(path, "needs admin.listen, which says where");
    for (std::size_t i = 0; i < own; ++i)
      if (ports[i].second == port)
        fail_key(path,
                 "port " + std::to_string(port) + " is that of " + std::string(ports[i].first));
  }
  if (a.port == 0) return;
  for (const endpoint& where : resolved(a.listen, a.port))
    if (a.token_file && !a.tls_certificate && !is_loopback(where.host)) {
      warn(complaint(key_at("admin.token_file"), origin_of(key_at("admin.token_file")),
                     "the token travels in the clear to '" + where.host +
                         "': admin.tls_certificate encrypts it"));
      break;
    }
}

void settings::check_backend() {
  const backend_options& b = opts_.backend;
  const bool used = opts_.cache.engine == engine_kind::memcached;
  const key& address = key_at("backend.address");
  if (!used && !b.address.empty())
    warn(complaint(address, origin_of(address), "has no effect with cache.engine: embedded"));
  if (!used || !usable("backend.address")) return;
  if (b.address.empty()) return fail_key("cache.engine", "memcached needs backend.address");
  if (b.address.starts_with('/')) return;
  endpoint where;
  std::string error = parse_endpoint(b.address, where);
  if (error.empty() && where.port == 0) error = "needs a port, or a path that begins with '/'";
  if (!error.empty()) fail_key("backend.address", "'" + b.address + "': " + error);
}

void settings::finish() {
  check_times();
  check_sizes();
  check_addresses();
  check_clients();
  check_backend();
  check_link();
  check_link_tls();
  check_admin();
  if (errors_left_out_ > 0)
    errors_.push_back("and " + std::to_string(errors_left_out_) + " errors more");
  if (!errors_.empty()) throw config_error(std::move(errors_));
  replication_options& r = opts_.replication;
  if (r.peer && r.peer->port == 0) r.peer->port = r.port;
}

}  // namespace tandem::config
