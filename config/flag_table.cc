#include "config/flag_table.h"

#include <algorithm>
#include <array>

#include "common/base/check.h"
#include "config/extended_options.h"
#include "config/text.h"

namespace tandem::config {
namespace {

using given_list = std::vector<std::string>;

// getopt's custom: of a flag given twice the last counts.
void set_key(const flag& f, const given_list& given, settings& into) {
  into.set_text(key_at(f.key), given.back(), source::flag, f.name());
}

void set_list(const flag& f, const given_list& given, settings& into) {
  std::vector<std::string> entries;
  for (const std::string& one : given) {
    // An empty entry is kept, to be refused: it is a variable that a script forgot to set.
    if (trim(one).empty()) entries.emplace_back();
    for (std::string& entry : split_list(one)) entries.push_back(std::move(entry));
  }
  into.set_list(key_at(f.key), std::move(entries), source::flag, f.name());
}

void turn_on(const flag& f, const given_list&, settings& into) {
  into.set(key_at(f.key), true, source::flag, f.name());
}

void turn_off(const flag& f, const given_list&, settings& into) {
  into.set(key_at(f.key), false, source::flag, f.name());
}

// Each -v adds one; memcached's third level is our second.
void set_verbosity(const flag& f, const given_list& given, settings& into) {
  const key& verbosity = key_at(f.key);
  const auto level = std::min(static_cast<std::int64_t>(given.size()), verbosity.max);
  into.set(verbosity, level, source::flag, f.name());
}

void set_memory(const flag& f, const given_list& given, settings& into) {
  const std::string& text = given.back();
  into.set_text(key_at(f.key), all_digits(text) ? text + "MiB" : text, source::flag, f.name());
}

void set_item_size(const flag& f, const given_list& given, settings& into) {
  const std::string& text = given.back();
  into.set_text(key_at(f.key), all_digits(text) ? text + "B" : text, source::flag, f.name());
}

// A small queue gets the least journal there is: it remembers more than was asked for.
void set_queue(const flag& f, const given_list& given, settings& into) {
  const key& journal = key_at(f.key);
  const auto unit = static_cast<std::int64_t>(queued_key_bytes);
  const auto keys = parse_integer(given.back());
  if (!keys || *keys < 1 || *keys > journal.max / unit)
    into.set_broken(journal,
                    "'" + given.back() + "' is not a queue length (allowed: 1.." +
                        std::to_string(journal.max / unit) + " keys)",
                    source::flag, f.name());
  else
    into.set(journal, std::max(*keys * unit, journal.min), source::flag, f.name());
}

// Repcached's -X PORT, or memcached 1.6's -X alone.
void set_port_or_dumps(const flag& f, const given_list& given, settings& into) {
  for (const std::string& one : given) {
    if (one.empty())
      into.set(key_at("commands.dumps"), static_cast<std::int64_t>(permission::deny), source::flag,
               f.name());
    else
      into.set_text(key_at(f.key), one, source::flag, f.name());
  }
}

// memcached's -s closes the network. What a file says of listen.tcp stands.
void set_unix_socket(const flag& f, const given_list& given, settings& into) {
  set_key(f, given, into);
  const key& tcp = key_at("listen.tcp");
  if (into.origin_of(tcp).from == source::defaults) into.set(tcp, false, source::flag, f.name());
}

// memcached's -p 0 closes the network too.
void set_port(const flag& f, const given_list& given, settings& into) {
  if (parse_integer(given.back()) != 0) return set_key(f, given, into);
  into.set(key_at("listen.tcp"), false, source::flag, f.name());
}

void set_permission(const flag& f, permission what, settings& into) {
  into.set(key_at(f.key), static_cast<std::int64_t>(what), source::flag, f.name());
}
void allow(const flag& f, const given_list&, settings& into) {
  set_permission(f, permission::allow, into);
}
void deny(const flag& f, const given_list&, settings& into) {
  set_permission(f, permission::deny, into);
}

void set_extended(const flag&, const given_list& given, settings& into) {
  apply_extended(given, into);
}

void check_udp(const flag& f, const given_list& given, settings& into) {
  if (parse_integer(given.back()) != 0) into.fail(f.name() + ": UDP is not offered (allowed: 0)");
}

void check_protocol(const flag& f, const given_list& given, settings& into) {
  if (given.back() != "ascii" && given.back() != "auto")
    into.fail(f.name() + ": the protocol '" + given.back() +
              "' is not offered (allowed: ascii, auto)");
}

void ignore(const flag& f, const given_list&, settings& into) {
  into.warn(f.name() + ": has no effect (" + std::string(f.help) + ")");
}

// A protection that is asked for and not there must stop the start, not be overlooked.
void refuse_flag(const flag& f, const given_list&, settings& into) {
  into.fail(f.name() + ": is not offered (" + std::string(f.help) + ")");
}

constexpr argument none = argument::none, required = argument::required;
constexpr std::string_view clients = "Clients", cache = "Cache", twin = "Replication",
                           process = "Process", files = "Configuration";

constexpr std::array table = {
    flag{"-p,--port", "PORT", required, clients, "TCP port, 0 for none", "listen.port", set_port},
    flag{"-l,--listen", "ADDR", required, clients,
         "address to listen on, HOST[:PORT]; several with commas or by giving it again",
         "listen.addresses", set_list},
    flag{"-s,--unix-socket", "FILE", required, clients,
         "UNIX socket to listen on, instead of TCP (both: listen.tcp)", "listen.unix_socket",
         set_unix_socket},
    flag{"-a,--unix-mask", "MASK", required, clients, "its permissions, in octal",
         "listen.unix_mask", set_key},
    flag{"-U,--udp-port", "0", required, clients, "UDP port; only 0 (off) is accepted", "",
         check_udp},
    flag{"-c,--conn-limit", "N", required, clients, "most clients at once",
         "listen.connections_max", set_key},
    flag{"-b,--listen-backlog", "N", required, clients, "most connections that wait in the kernel",
         "listen.backlog", set_key},
    flag{"-t,--threads", "N", required, clients, "threads that serve clients, 0 for one per core",
         "workers.threads", set_key},
    flag{"-R,--max-reqs-per-event", "N", required, clients,
         "requests of one connection served before the next's", "workers.requests_per_event",
         set_key},
    flag{"-B,--protocol", "NAME", required, clients, "ascii or auto, which are the same", "",
         check_protocol},
    flag{"-Z,--enable-ssl", "", none, clients, "TLS; -o ssl_chain_cert and ssl_key name the files",
         "tls.enabled", turn_on},
    flag{"-Y,--auth-file", "FILE", required, clients, "USER:PASSWORD lines; clients must log in",
         "auth.file", set_key},
    flag{"-F,--disable-flush-all", "", none, clients, "refuse the command flush_all",
         "commands.flush_all", deny},
    flag{"-W,--disable-watch", "", none, clients, "refuse the command watch", "commands.watch",
         deny},
    flag{"-A,--enable-shutdown", "", none, clients, "take the command shutdown",
         "commands.shutdown", allow},
    flag{"-o,--extended", "LIST", required, clients,
         "memcached's extended options, of which these have an effect: [no_]maxconns_fast, "
         "idle_timeout=SECONDS, ssl_chain_cert, ssl_key, ssl_keyformat, ssl_verify_mode, "
         "ssl_ca_cert, ssl_ciphers, ssl_min_version, ssl_wbuf_size, ssl_session_cache, "
         "ssl_kernel_tls; and our own write_timeout=SECONDS",
         "", set_extended},

    flag{"-m,--memory-limit", "SIZE", required, cache,
         "memory for everything, in MiB or with a unit (64, 2g)", "cache.memory", set_memory},
    flag{"-M,--disable-evictions", "", none, cache, "refuse stores when full instead of evicting",
         "cache.evict", turn_off},
    flag{"-C,--disable-cas", "", none, cache, "give no CAS uniques: all are 0", "cache.cas",
         turn_off},
    flag{"-I,--max-item-size", "SIZE", required, cache,
         "largest item, in bytes or with a unit (1024k, 5m)", "cache.item_size_max", set_item_size},
    flag{"-k,--lock-memory", "", none, cache, "lock all memory against swapping",
         "process.lock_memory", turn_on},

    flag{"-x,--peer", "HOST", required, twin, "the other node, HOST[:PORT]", "replication.peer",
         set_key},
    flag{"-X", "PORT", argument::optional, twin,
         "the link's port, here and at the peer; without PORT memcached's switch against dumps "
         "of keys",
         "replication.port", set_port_or_dumps},
    flag{"-q,--queue-length", "N", required, twin,
         "journal room for N keys of 250 bytes (264 bytes each, at least 64KiB in all)",
         "replication.journal", set_queue},
    flag{"--replication-listen", "ADDR", required, twin,
         "address the peer connects to, HOST[:PORT]; default: as -l",
         "replication.listen_addresses", set_list},
    flag{"--replication-port", "PORT", required, twin,
         "the link's port here, where it differs from the peer's", "replication.listen_port",
         set_key},

    flag{"-d,--daemon", "", none, process, "run in the background", "process.daemonize", turn_on},
    flag{"-u,--user", "NAME", required, process, "user to become, when started as root",
         "process.user", set_key},
    flag{"-P,--pidfile", "FILE", required, process, "write the process id to FILE",
         "process.pid_file", set_key},
    flag{"-r,--enable-coredumps", "", none, process, "raise the core file limit",
         "process.core_dumps", turn_on},
    flag{"-v,--verbose", "", none, process, "log more; -vv: every command and frame",
         "log.verbosity", set_verbosity},

    flag{"--config", "FILE", required, files, "read the YAML file FILE"},
    flag{"--check-config", "", none, files, "check everything, say so and exit"},
    flag{"--print-config", "", none, files, "print the configuration in effect as YAML and exit"},
    flag{"--print-sample", "", none, files, "print a commented sample file and exit"},
    flag{"-V,--version", "", none, files, "print the version and exit"},
    flag{"-h,--help", "", none, files, "print this help and exit"},
    flag{"-i,--license", "", none, files, "print the license and exit"},

    flag{"-f,--slab-growth-factor", "N", required, "", "there are no slab classes to grow", "",
         ignore},
    flag{"-n,--slab-min-size", "N", required, "", "there are no slab classes", "", ignore},
    flag{"-L,--enable-largepages", "", none, "", "page sizes are left to the kernel", "", ignore},
    flag{"-D", "CHAR", required, "", "there are no statistics by prefix", "", ignore},
    flag{"-e,--memory-file", "FILE", required, "", "the cache is refilled by the peer", "", ignore},
    flag{"-N,--napi-ids", "N", required, "", "threads are not bound to network queues", "", ignore},

    flag{"-S,--enable-sasl", "", none, "", "it belongs to the binary protocol: use -Y", "",
         refuse_flag},
};

}  // namespace

std::string flag::name() const {
  return std::string(names.substr(0, names.find(',')));
}

std::string flag::both_names() const {
  const std::size_t comma = names.find(',');
  if (comma == std::string_view::npos) return std::string(names);
  return name() + ", " + std::string(names.substr(comma + 1));
}

std::span<const flag> flags() {
  return table;
}
bool is_ignored(const flag& which) {
  return which.apply == ignore;
}
bool is_refused(const flag& which) {
  return which.apply == refuse_flag;
}

}  // namespace tandem::config
