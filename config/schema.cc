#include "config/schema.h"

#include <algorithm>
#include <array>

#include "common/base/check.h"
#include "config/admin_keys.h"
#include "config/backend_keys.h"
#include "config/binding.h"
#include "config/cache_keys.h"
#include "config/client_keys.h"
#include "config/hook_keys.h"
#include "config/link_security_keys.h"
#include "config/process_keys.h"
#include "config/sync_keys.h"

namespace tandem::config {
namespace {

using binding::bind;

template <auto Member>
constexpr key in_workers(key k) {
  k.section = "workers";
  return bind<&options::workers, Member>(k);
}
template <auto Member>
constexpr key in_replication(key k) {
  k.section = "replication";
  return bind<&options::replication, Member>(k);
}

constexpr std::int64_t kib = 1024, mib = kib * 1024, gib = mib * 1024;
constexpr std::int64_t second = 1000, minute = 60 * second, hour = 60 * minute;

using W = worker_options;
using R = replication_options;

constexpr std::array node_keys = {
    in_workers<&W::threads>(
        {.name = "threads",
         .type = kind::integer,
         .min = 0,
         .max = 256,
         .example = "4",
         .description = "How many threads serve clients; 0 means one for each core. More threads "
                        "than cores make latency worse."}),
    in_workers<&W::requests_per_event>(
        {.name = "requests_per_event",
         .type = kind::integer,
         .min = 1,
         .max = 100000,
         .example = "20",
         .description = "How many requests of one connection are served before the thread turns to "
                        "the next. A small number is fair to many clients; a large one is faster "
                        "for a few that pipeline."}),

    in_replication<&R::enabled>(
        {.name = "enabled",
         .type = kind::boolean,
         .example = "true",
         .description = "Replicate to a peer. With false there is no replication port and no link, "
                        "and peer has no effect: a plain cache without a twin."}),
    in_replication<&R::peer>(
        {.name = "peer",
         .type = kind::address,
         .optional = true,
         .example = "10.0.0.2:11212",
         .description =
             "The other node. Without it this node waits for a peer to connect; name it on one "
             "node or on both. A peer without a port is reached at replication.port. The link "
             "carries every key and value: keep it on a private network."}),
    in_replication<&R::listen_addresses>(
        {.name = "listen_addresses",
         .type = kind::addresses,
         .max = 64,
         .example = "10.0.0.1",
         .description = "The addresses that the peer connects to. An empty list means the clients' "
                        "addresses (listen.addresses). Best is an address that clients cannot "
                        "reach."}),
    in_replication<&R::port>(
        {.name = "port",
         .type = kind::integer,
         .min = 1,
         .max = 65535,
         .example = "11212",
         .description = "The TCP port of the link, on this node and on the peer."}),
    in_replication<&R::listen_port>(
        {.name = "listen_port",
         .type = kind::integer,
         .min = 1,
         .max = 65535,
         .optional = true,
         .example = "11213",
         .description = "The port of the link on this node, where it differs from the peer's, as "
                        "with two nodes on one host. Unset: replication.port."}),
    in_replication<&R::cluster>(
        {.name = "cluster",
         .type = kind::string,
         .min = 1,
         .max = 64,
         .example = "memtandem",
         .description = "A name that both nodes must agree on. It keeps a mistyped address from "
                        "merging two caches that have nothing to do with each other; it is no "
                        "secret."}),
    in_replication<&R::node_id>(
        {.name = "node_id",
         .type = kind::integer,
         .min = 0,
         .max = 7,
         .optional = true,
         .example = "1",
         .description = "The number of this node in versions and CAS tokens; it must differ from "
                        "the peer's. Unset: chosen at start and changed if the peer has it. In a "
                        "tie the lower number stays master."}),
    in_replication<&R::journal_bytes>(
        {.name = "journal",
         .type = kind::size,
         .min = 64 * kib,
         .max = 16 * gib,
         .zero = true,
         .example = "64MiB",
         .description =
             "The memory of the journal, which remembers the keys that a peer has yet to receive: "
             "about 264 bytes for a key of 250 bytes, whatever the size of its value. If a peer "
             "stays away for longer than it reaches, the cache is scanned on its return instead, "
             "which costs time and traffic but loses nothing. 0 means a sixteenth of cache.memory, "
             "at most 64MiB. It counts in cache.memory."}),
    in_replication<&R::heartbeat_interval>(
        {.name = "heartbeat_interval",
         .type = kind::duration,
         .min = 10,
         .max = minute,
         .example = "200ms",
         .description = "How often each node shows its peer that it lives."}),
    in_replication<&R::dead_after>(
        {.name = "dead_after",
         .type = kind::duration,
         .min = 20,
         .max = 10 * minute,
         .example = "1s",
         .description =
             "A peer that was silent for so long is taken for dead: the link is closed and a slave "
             "in sync becomes master. Longer than heartbeat_interval, better three times as long. "
             "A short time fails over fast, and also when the network or a virtual machine merely "
             "pauses."}),
    in_replication<&R::connect_timeout>(
        {.name = "connect_timeout",
         .type = kind::duration,
         .min = 50,
         .max = minute,
         .example = "1s",
         .description = "How long one attempt to connect to the peer may take."}),
    in_replication<&R::reconnect_delay_min>(
        {.name = "reconnect_delay_min",
         .type = kind::duration,
         .min = 10,
         .max = minute,
         .example = "100ms",
         .description = "The pause after the first failed attempt to connect; it doubles with each "
                        "further one."}),
    in_replication<&R::reconnect_delay_max>(
        {.name = "reconnect_delay_max",
         .type = kind::duration,
         .min = 10,
         .max = 10 * minute,
         .example = "1s",
         .description = "The longest pause between two attempts, which go on for ever. It is also "
                        "about how late a returned peer may be noticed."}),
    in_replication<&R::join_timeout>(
        {.name = "join_timeout",
         .type = kind::duration,
         .min = 0,
         .max = 10 * minute,
         .example = "3s",
         .description = "How long a starting node waits for its peer before it serves clients "
                        "alone. If it is too short, a node started while the network is still "
                        "coming up serves an empty cache beside a full one; 0 does not wait."}),
    in_replication<&R::takeover_grace>(
        {.name = "takeover_grace",
         .type = kind::duration,
         .min = 0,
         .max = 10 * minute,
         .example = "80ms",
         .description =
             "How long a slave whose link was closed (not silent: that is dead_after) looks "
             "for its master before it takes over; a refused connection ends the wait at "
             "once. It goes on serving meanwhile. Over a slow network it should be more "
             "than three round trips (five where the link has a secret and TLS), or a broken "
             "connection is taken for a dead master."}),
    in_replication<&R::batch_interval>(
        {.name = "batch_interval",
         .type = kind::duration,
         .min = 0,
         .max = second,
         .example = "1ms",
         .description =
             "The least time between two batches to the peer. A longer time saves packets and "
             "sends a key that changes often only once; what a crash can lose grows by as much."}),
    in_replication<&R::clock_skew_max>(
        {.name = "clock_skew_max",
         .type = kind::duration,
         .min = 10,
         .max = 24 * hour,
         .example = "1m",
         .description =
             "A peer whose clock differs from ours by more is refused, with a log line. The later "
             "of two writes wins by these clocks, and items expire by them: run NTP on both "
             "nodes."}),
    in_replication<&R::ack>(
        {.name = "ack",
         .type = kind::choice,
         .choices = "async|semisync|sync",
         .example = "semisync",
         .description =
             "When a client is told of its mutation. async: when it is done here; a crash can lose "
             "what the peer has not got yet (stats replication: lag). semisync: when the peer has "
             "it too, but if that takes longer than ack_timeout, or there is no peer, replies do "
             "not wait until the peer has caught up. sync: when the peer has it too; if that takes "
             "longer, or there is no peer, the answer is a SERVER_ERROR, although the mutation is "
             "done here, until the peer is back or 'alone on' is said to the control socket. Reads "
             "and noreply commands never wait."}),
    in_replication<&R::ack_timeout>(
        {.name = "ack_timeout",
         .type = kind::duration,
         .min = 10,
         .max = 10 * minute,
         .example = "1s",
         .description =
             "How long the reply to a mutation waits for the peer, with semisync and sync. Shorter "
             "than dead_after, a peer that fell silent is noticed by it first."}),
    in_replication<&R::handover_timeout>(
        {.name = "handover_timeout",
         .type = kind::duration,
         .min = 100,
         .max = 10 * minute,
         .example = "10s",
         .description =
             "How long a switchover may take, from the command to the moment when the mastership "
             "is given away: pre_promote on the other node and the acknowledgement of all that "
             "this one has. After that it is given up and everything is as before."}),
    in_replication<&R::on_demotion>(
        {.name = "on_demotion",
         .type = kind::choice,
         .choices = "keep|close",
         .example = "keep",
         .description =
             "What becomes of the clients of a master that a switchover makes a slave. keep: they "
             "stay, and nothing is interrupted. close: their connections are closed, so that "
             "clients with a list of servers go to the new master."}),
    in_replication<&R::writes>(
        {.name = "writes",
         .type = kind::choice,
         .choices = "both|master",
         .example = "master",
         .description =
             "Where commands that change something are executed. both: on the node that gets them; "
             "of two writes to a key the later one wins, and add, cas and incr are only right as "
             "long as one node gets them. master: a slave sends them to the master and passes on "
             "its answer, which costs a round trip and makes them right on both nodes. A command "
             "of more than 2MiB, or one that takes longer than ack_timeout, is answered "
             "SERVER_ERROR. Give both nodes the same."}),
    in_replication<&R::writes_prefixes>(
        {.name = "writes_prefixes",
         .type = kind::words,
         .max = 64,
         .example = "lock:",
         .description = "What the keys begin with that writes: master is for, such as those of "
                        "counters and locks. An empty list means all keys. flush_all goes to the "
                        "master in any case."}),
    in_replication<&R::writes_on_partition>(
        {.name = "writes_on_partition",
         .type = kind::choice,
         .choices = "local|error",
         .example = "error",
         .description =
             "With writes: master, what a slave that has lost its master and taken over does with "
             "writes. local: it executes them; if the old master lives behind a broken network, "
             "both do. error: it answers SERVER_ERROR until it has a peer again or 'alone on' is "
             "said to the control socket, also if the master is dead. The old master goes on."}),
    in_replication<&R::while_syncing>(
        {.name = "while_syncing",
         .type = kind::choice,
         .choices = "refuse|serve|read_through",
         .example = "read_through",
         .description =
             "What clients get of a node that is being filled. refuse: nothing, they are let in "
             "when it is in sync. serve: what has come so far, misses, and, if it was in use "
             "before, what may be out of date. read_through: the same, but what is missing is "
             "asked of the peer, and what changes something is sent there; so is everything if "
             "the memcached behind this node is gone."}),
    in_replication<&R::insecure>(
        {.name = "insecure",
         .type = kind::boolean,
         .example = "false",
         .description =
             "Accept a peer on another host although the link is not authenticated. Whoever "
             "reaches the replication port can then read, change and delete everything. Only on a "
             "network that is closed by other means. With secret_file or tls_certificate it is not "
             "needed."}),
};

template <std::size_t N, std::size_t M>
constexpr std::array<key, N + M> joined_keys(const std::array<key, N>& first,
                                             const std::array<key, M>& rest) {
  std::array<key, N + M> all{};
  std::copy(rest.begin(), rest.end(), std::copy(first.begin(), first.end(), all.begin()));
  return all;
}

constexpr std::array key_table = joined_keys(
    joined_keys(joined_keys(joined_keys(client_keys, cache_keys), backend_keys),
                joined_keys(node_keys, sync_keys)),
    joined_keys(link_security_keys, joined_keys(admin_keys, joined_keys(hook_keys, process_keys))));

constexpr std::array section_table = {
    section{"listen", "Where clients connect, and how long they may stay silent."},
    section{"tls",
            "TLS for clients. The link to the peer has its own (replication.tls_certificate)."},
    section{"auth", "Who the clients are."},
    section{"commands", "Commands that act on more than a key."},
    section{"cache", "What is kept, and how much of it."},
    section{"backend", "The memcached that keeps the data, with cache.engine: memcached."},
    section{"workers", "The threads that serve clients."},
    section{"replication", "The twin: the link to the other node."},
    section{"control", "How operators speak to the running node."},
    section{"admin", "What operators, Prometheus and load balancers ask by HTTP."},
    section{"hooks", "Programs that are run when the role changes."},
    section{"log", "What is logged, and where to."},
    section{"process", "The process itself."},
};

}  // namespace

std::string key::path() const {
  return std::string(section) + "." + std::string(name);
}

std::string key::variable() const {
  std::string result = "MEMTANDEM_" + std::string(section) + "_" + std::string(name);
  for (char& c : result)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return result;
}

std::span<const key> schema() {
  return key_table;
}
std::span<const section> sections() {
  return section_table;
}

const key* find_key(std::string_view section_name, std::string_view name) {
  const auto found = std::find_if(key_table.begin(), key_table.end(), [&](const key& k) {
    return k.section == section_name && k.name == name;
  });
  return found == key_table.end() ? nullptr : &*found;
}

const key& key_at(std::string_view path) {
  const std::size_t dot = path.find('.');
  CHECK(dot != std::string_view::npos);
  const key* const found = find_key(path.substr(0, dot), path.substr(dot + 1));
  CHECK(found != nullptr);
  return *found;
}

std::size_t index_of(const key& which) {
  return static_cast<std::size_t>(&which - key_table.data());
}

}  // namespace tandem::config
