// Every option of the daemon and the single source of its default. The YAML loader, the command
// line, --print-config and the sample file are all checked against this struct by a test.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tandem::config {

// A host (name, IPv4 or IPv6 literal) and a TCP port.
struct endpoint {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const endpoint&, const endpoint&) = default;
};

// Where clients connect: YAML `listen`. Addresses are HOST[:PORT], as parse_listener
// (config/text.h) reads them; one without a port uses `port`.
struct listen_options {
  std::vector<std::string> addresses;  // -l, comma-separated or repeated; empty: every address
  std::uint16_t port = 11211;          // -p; 1..65535
  bool tcp = true;                     // false: the UNIX socket only; -s says so
  std::string unix_socket;             // -s; a path; empty: none
  unsigned unix_mask = 0700;           // -a; octal, 0..0777
  int backlog = 1024;                  // -b; 1..65535
  unsigned connections_max = 1024;     // -c; client connections at once, 1..1048576
  bool reject_at_limit = true;         // -o [no_]maxconns_fast; false: they wait in the kernel
  std::chrono::milliseconds idle_timeout{0};       // -o idle_timeout; 0: never; else 10 ms..30 days
  std::chrono::milliseconds write_timeout{30000};  // -o write_timeout; 10 ms..1 h
  bool reuse_port = false;                         // no flag; SO_REUSEPORT on the client port
  friend bool operator==(const listen_options&, const listen_options&) = default;
};

enum class key_format { pem, der };
enum class tls_version { tls1_0, tls1_1, tls1_2, tls1_3 };
// What a client must show: nothing; a certificate is asked for, and a wrong one refused; a
// certificate is needed.
enum class client_certificate { none, request, require };

// TLS for clients: YAML `tls`, memcached's -Z and -o ssl_*.
struct tls_options {
  bool enabled = false;                                  // -Z
  std::string certificate_file;                          // ssl_chain_cert; PEM
  std::string key_file;                                  // ssl_key; empty: in certificate_file
  key_format format = key_format::pem;                   // ssl_keyformat; of key_file
  client_certificate verify = client_certificate::none;  // ssl_verify_mode
  std::string ca_file;                                   // ssl_ca_cert; of clients' certificates
  std::string ciphers;                               // ssl_ciphers; up to TLS 1.2; empty: OpenSSL's
  tls_version min_version = tls_version::tls1_2;     // ssl_min_version
  bool session_cache = false;                        // ssl_session_cache
  bool kernel_tls = false;                           // ssl_kernel_tls
  std::size_t write_buffer = std::size_t{16} << 10;  // ssl_wbuf_size; 1 KiB..1 MiB
  std::chrono::milliseconds handshake_timeout{10000};  // 10 ms..10 min
  friend bool operator==(const tls_options&, const tls_options&) = default;
};

// YAML `auth`.
struct auth_options {
  std::string file;  // -Y; USER:PASSWORD lines; empty: no client has to say who it is
  friend bool operator==(const auth_options&, const auth_options&) = default;
};

enum class permission { allow, deny };

// Commands that act on more than a key: YAML `commands`.
struct command_options {
  permission flush_all = permission::allow;  // -F: deny
  permission shutdown = permission::deny;    // -A: allow
  permission dumps = permission::allow;      // -X without PORT: deny
  permission watch = permission::allow;      // -W: deny
  friend bool operator==(const command_options&, const command_options&) = default;
};

// Where the data is kept: in this process, or in a stock memcached beside it.
enum class engine_kind { embedded, memcached };

// YAML `cache`.
struct cache_options {
  engine_kind engine = engine_kind::embedded;
  std::size_t memory_bytes = std::size_t{64} << 20;  // -m (MiB); 1 MiB..16 TiB; everything counts
  std::size_t item_size_max = std::size_t{1} << 20;  // -I; 1 KiB..1 GiB
  bool evict = true;                                 // -M: false, a full cache refuses stores
  bool cas = true;                                   // -C: false, every CAS unique is 0
  friend bool operator==(const cache_options&, const cache_options&) = default;
};

// YAML `backend`: the memcached of cache.engine.
struct backend_options {
  std::string address;  // HOST:PORT, or the path of a UNIX socket; needed with that engine
  std::chrono::milliseconds timeout{1000};         // of a reply, and of connecting; 10 ms..10 min
  std::chrono::milliseconds reconnect_delay{100};  // between attempts; 10 ms..60 s
  bool watch_writes = true;                        // notice those that go round this process
  friend bool operator==(const backend_options&, const backend_options&) = default;
};

// YAML `workers`.
struct worker_options {
  unsigned threads = 0;              // -t; 0..256; 0: the number of cores
  unsigned requests_per_event = 20;  // -R; 1..100000
  friend bool operator==(const worker_options&, const worker_options&) = default;
};

// What the reply to a mutation waits for.
enum class ack_mode { async, semisync, sync };
// What becomes of the clients of a master that is made a slave.
enum class demotion { keep, close };
enum class link_compression { none, lz4, zstd };

// Who takes writes.
enum class writes_mode { both, master };
// What becomes of writes for the master while that is out of reach.
enum class partition_mode { local, error };
// What clients get of a node that is being filled.
enum class syncing_mode { refuse, serve, read_through };

// YAML `replication`.
struct replication_options {
  bool enabled = true;                        // false: no port, no link
  std::optional<endpoint> peer;               // -x; the loader fills a missing port from `port`
  std::vector<std::string> listen_addresses;  // --replication-listen; empty: as the clients' -l
  std::uint16_t port = 11212;                 // -X; the link's port, here and at the peer
  std::optional<std::uint16_t> listen_port;  // --replication-port; where it differs from the peer's
  std::string cluster = "memtandem";         // both nodes must agree; 1..64 bytes
  std::optional<unsigned> node_id;           // 0..7; unset: chosen, changed if the peer has it
  std::size_t journal_bytes = 0;  // 0: memory/16, at most 64 MiB; else 64 KiB..16 GiB; -q N
  std::chrono::milliseconds heartbeat_interval{200};    // 10 ms..60 s
  std::chrono::milliseconds dead_after{1000};           // silence that ends a link; 20 ms..10 min
  std::chrono::milliseconds connect_timeout{1000};      // 50 ms..60 s
  std::chrono::milliseconds reconnect_delay_min{100};   // first pause between attempts; 10 ms..60 s
  std::chrono::milliseconds reconnect_delay_max{1000};  // it doubles up to this; 10 ms..10 min
  std::chrono::milliseconds join_timeout{3000};  // wait for a peer, then start alone; 0..10 min
  std::chrono::milliseconds takeover_grace{80};  // a closed link is looked for so long; 0..10 min
  std::chrono::milliseconds batch_interval{1};   // least time between two batches; 0..1 s
  std::size_t sync_rate = 0;  // bytes a second of a copy to the peer; 0: any; 64 KiB..64 GiB
  link_compression compression = link_compression::none;  // of what is sent
  std::chrono::milliseconds clock_skew_warn{500};         // warn of one; 0: never; else 10 ms..24 h
  std::chrono::milliseconds audit_interval{0};            // 0: none; else 1 s..30 days
  std::chrono::milliseconds clock_skew_max{60000};        // refuse a peer off by more; 10 ms..24 h
  ack_mode ack = ack_mode::async;                         // when a client is told of its mutation
  std::chrono::milliseconds ack_timeout{1000};            // how long that may take; 10 ms..10 min
  writes_mode writes = writes_mode::both;    // whether a slave's clients write at the master
  std::vector<std::string> writes_prefixes;  // of the keys that `writes` is for; empty: all
  partition_mode writes_on_partition = partition_mode::local;
  syncing_mode while_syncing = syncing_mode::refuse;
  std::chrono::milliseconds handover_timeout{10000};  // of a switchover; 100 ms..10 min
  demotion on_demotion = demotion::keep;
  bool insecure = false;                   // take an unauthenticated peer that is not on this host
  std::optional<std::string> secret_file;  // a shared secret a line, the first proves
  std::optional<std::string> tls_certificate;  // PEM; with it the link is TLS 1.3, tls_ca is needed
  std::optional<std::string> tls_key;          // PEM; unset: in tls_certificate
  std::optional<std::string> tls_ca;           // PEM; who signs the peer's certificate
  std::optional<std::string> tls_peer_name;    // that the peer's certificate must have
  // The peer has to prove who it is, wherever it comes from.
  bool authenticated() const { return secret_file || tls_certificate; }
  friend bool operator==(const replication_options&, const replication_options&) = default;
};

// YAML `control`.
struct control_options {
  std::string socket;           // a path; empty: none
  unsigned socket_mode = 0600;  // octal, 0..0777
  friend bool operator==(const control_options&, const control_options&) = default;
};

// YAML `admin`: the HTTP port for operators and load balancers.
struct admin_options {
  std::uint16_t port = 0;                           // 1..65535; 0: none
  std::vector<std::string> listen = {"127.0.0.1"};  // HOST[:PORT]
  std::optional<std::string> token_file;            // whose first line lets commands in
  std::optional<std::string> tls_certificate;       // PEM; with it the port speaks HTTPS only
  std::optional<std::string> tls_key;               // PEM; unset: in tls_certificate
  std::uint16_t agent_port = 0;                     // HAProxy's agent-check; 1..65535; 0: none
  friend bool operator==(const admin_options&, const admin_options&) = default;
};

// YAML `hooks`: programs with their arguments; empty: none.
struct hook_options {
  std::vector<std::string> pre_promote;
  std::vector<std::string> post_promote;
  std::vector<std::string> post_demote;
  std::vector<std::string> split_heal;
  std::chrono::milliseconds timeout{5000};  // of one run; 10 ms..10 min
  friend bool operator==(const hook_options&, const hook_options&) = default;
};

// YAML `log`.
struct log_options {
  int verbosity = 0;  // 0..2; -v: 1 (connections, roles in detail), -vv: 2 (commands and frames)
  std::string file;   // empty: standard error
  friend bool operator==(const log_options&, const log_options&) = default;
};

// YAML `process`.
struct process_options {
  bool daemonize = false;    // -d
  std::string user;          // -u; only as root
  std::string pid_file;      // -P
  bool core_dumps = false;   // -r
  bool lock_memory = false;  // -k
  friend bool operator==(const process_options&, const process_options&) = default;
};

struct options {
  listen_options listen;
  tls_options tls;
  auth_options auth;
  command_options commands;
  cache_options cache;
  backend_options backend;
  worker_options workers;
  replication_options replication;
  control_options control;
  admin_options admin;
  hook_options hooks;
  log_options log;
  process_options process;
  friend bool operator==(const options&, const options&) = default;
};

}  // namespace tandem::config
