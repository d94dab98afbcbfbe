#include "common/admin/metrics.h"

#include <algorithm>
#include <array>

#include "common/admin/metric_writer.h"
#include "common/service/slab_stats.h"
#include "common/service/stats.h"

namespace tandem::admin {

namespace {

void add_process(metric_writer& to, const snapshot& s) {
  to.gauge("memcached_up", "Could the memcached server be reached.", 1);
  to.gauge("memcached_uptime_seconds", "Number of seconds since the server started.",
           s.process.uptime_seconds);
  to.gauge("memcached_time_seconds", "Current UNIX time according to the server.",
           unix_seconds(s.taken.wall));
  to.family("memcached_version", "gauge", "The version of this memcached server.");
  to.sample(1, {{"version", service::version_text}});
  to.counter("memcached_process_user_cpu_seconds_total", "Accumulated user time for this process.",
             s.process.rusage_user);
  to.counter("memcached_process_system_cpu_seconds_total",
             "Accumulated system time for this process.", s.process.rusage_system);
  to.gauge("memcached_max_connections", "Maximum number of clients allowed.",
           s.process.connections_max);
  to.gauge("memcached_current_connections", "Current number of open connections.",
           s.process.connections_current);
  to.counter("memcached_connections_total", "Connections opened since the server started.",
             s.process.connections_total);
  to.counter("memcached_connections_rejected_total",
             "Connections rejected due to hitting the -c limit in maxconns_fast mode.",
             s.process.connections_rejected);
  to.counter("memcached_connections_yielded_total",
             "Connections yielded running due to hitting the -R limit.",
             counter_of(s.commands, "conn_yields"));
  to.counter("memcached_connections_listener_disabled_total",
             "Times that the connection limit was hit and the listener disabled.",
             s.process.listen_disabled);
  to.gauge("memcached_accepting_connections", "The server accepts new connections.",
           s.process.accepting);
  to.counter("memcached_read_bytes_total", "Bytes read by this server from network.",
             counter_of(s.commands, "bytes_read"));
  to.counter("memcached_written_bytes_total", "Bytes sent by this server to network.",
             counter_of(s.commands, "bytes_written"));
}

void add_commands(metric_writer& to, const snapshot& s) {
  to.family("memcached_commands_total", "counter",
            "Requests broken down by command (get, set, etc.) and status.");
  const auto count = [&](std::string_view name) { return counter_of(s.commands, name); };
  for (const std::string_view command : {"get", "delete", "incr", "decr", "cas", "touch"}) {
    to.sample(count(std::string(command) + "_hits"), {{"command", command}, {"status", "hit"}});
    to.sample(count(std::string(command) + "_misses"), {{"command", command}, {"status", "miss"}});
  }
  to.sample(count("cas_badval"), {{"command", "cas"}, {"status", "badval"}});
  to.sample(count("cmd_flush"), {{"command", "flush"}, {"status", "hit"}});
  // memcached counts a cas as a set too; the exporter takes it off.
  const std::uint64_t sets = count("cmd_set");
  const std::uint64_t cas = count("cas_hits") + count("cas_misses") + count("cas_badval");
  to.sample(sets - std::min(sets, cas), {{"command", "set"}, {"status", "hit"}});
  to.counter("memtandem_meta_commands_total", "Meta commands, each counted by its effect too.",
             count("cmd_meta"));
}

void add_cache(metric_writer& to, const snapshot& s) {
  to.gauge("memcached_current_bytes", "Bytes used to store items.", s.items.item_bytes);
  to.gauge("memcached_limit_bytes", "Bytes this server is allowed to use for storage.",
           s.memory_limit);
  to.gauge("memcached_malloced_bytes", "Bytes of memory allocated.", s.memory_used);
  to.gauge("memcached_current_items", "Items stored by this instance.", s.items.items);
  to.counter("memcached_items_total", "Items stored during the life of this instance.",
             s.items.total_items);
  to.counter("memcached_items_evicted_total",
             "Valid items removed from cache to free memory for new items.", s.items.evictions);
  to.counter("memcached_items_reclaimed_total", "Expired or flushed items whose memory was reused.",
             s.items.reclaimed);
  to.counter("memcached_item_too_large_total", "Times an item exceeded the largest item size.",
             counter_of(s.commands, "store_too_large"));
  to.counter("memcached_item_no_memory_total", "Times an item could not be stored for no memory.",
             counter_of(s.commands, "store_no_memory"));
  to.counter("memcached_direct_reclaims_total", "Times worker threads had to directly evict.", 0);
  to.family("memtandem_memory_bytes", "gauge", "Memory of the cache by what holds it.");
  to.sample(s.items.item_bytes, {{"use", "items"}});
  to.sample(s.items.tombstone_bytes, {{"use", "tombstones"}});
  to.sample(s.items.index_bytes, {{"use", "index"}});
  to.sample(s.items.dead_bytes, {{"use", "dead"}});
  to.sample(s.journal_bytes, {{"use", "journal"}});
  to.gauge("memtandem_tombstones", "Deleted keys that are remembered for the peer.",
           s.items.tombstones);
}

// A family over the bands of sizes, which stand for memcached's slab classes.
template <class Value>
void add_bands(metric_writer& to, const snapshot& s, std::string_view name, std::string_view type,
               std::string_view help, Value value) {
  to.family(name, type, help);
  for (unsigned band = 0; band < engine::bands; ++band)
    to.sample(value(s.items.by_band[band], band),
              {{"slab", std::to_string(service::slab_class_of_band(band))}});
}

void add_slabs(metric_writer& to, const snapshot& s) {
  using band = engine::band_statistics;
  const std::uint64_t now = unix_seconds(s.taken.wall);
  add_bands(to, s, "memcached_slab_current_items", "gauge", "Items stored in this slab class.",
            [](const band& b, unsigned) { return b.items; });
  add_bands(to, s, "memcached_slab_mem_requested_bytes", "gauge",
            "Bytes of memory actual items take up within a slab.",
            [](const band& b, unsigned) { return b.bytes; });
  add_bands(to, s, "memcached_slab_chunk_size_bytes", "gauge", "The largest item of this class.",
            [&](const band&, unsigned n) -> std::uint64_t {
              return n < engine::band_bytes_max.size() ? engine::band_bytes_max[n]
                                                       : s.item_size_max;
            });
  add_bands(to, s, "memcached_slab_items_age_seconds", "gauge",
            "Seconds the oldest item has been in the slab class.", [&](const band& b, unsigned) {
              return b.oldest == 0 ? 0 : now - std::min(now, b.oldest);
            });
  add_bands(to, s, "memcached_slab_items_evicted_total", "counter",
            "Times an item had to be evicted before it expired.",
            [](const band& b, unsigned) { return b.evictions; });
  add_bands(to, s, "memcached_slab_items_evicted_nonzero_total", "counter",
            "Evictions of items which had an explicit expire time.",
            [](const band& b, unsigned) { return b.evicted_with_exptime; });
  add_bands(to, s, "memcached_slab_items_evicted_unfetched_total", "counter",
            "Items evicted and never fetched.",
            [](const band& b, unsigned) { return b.evicted_unfetched; });
  add_bands(to, s, "memcached_slab_items_evicted_time_seconds", "gauge",
            "Seconds since the last access for the most recent item evicted from this class.",
            [](const band& b, unsigned) { return b.evicted_idle; });
  add_bands(to, s, "memcached_slab_items_expired_unfetched_total", "counter",
            "Items expired and never fetched.",
            [](const band& b, unsigned) { return b.expired_unfetched; });
  add_bands(to, s, "memcached_slab_items_reclaimed_total", "counter", "Items reclaimed.",
            [](const band& b, unsigned) { return b.reclaimed; });
  add_bands(to, s, "memcached_slab_items_outofmemory_total", "counter",
            "Items of this slab class that have triggered an out of memory error.",
            [&](const band&, unsigned n) { return n == 0 ? s.items.out_of_memory : 0; });
}

}  // namespace

std::string metrics_text(const snapshot& s) {
  metric_writer to;
  add_process(to, s);
  add_commands(to, s);
  add_cache(to, s);
  add_slabs(to, s);
  add_pair_metrics(to, s);
  add_latency_metrics(to, s);
  return to.take();
}

}  // namespace tandem::admin
