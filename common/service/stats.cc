#include "common/service/stats.h"

#include <string>

#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"
#include "common/service/cachedump.h"
#include "common/service/settings_stats.h"
#include "common/service/slab_stats.h"
#include "common/service/stat_rows.h"

namespace tandem::service {

namespace reply = protocol::reply;

namespace {

bool is_repcached_row(const stat_row& row) {
  return row.first == "replication" || row.first.starts_with("repcached_");
}

void add_process(stat_rows& to, const process_facts& facts, instant now) {
  to.add("pid", facts.pid);
  to.add("uptime", facts.uptime_seconds);
  to.add("time", unix_seconds(now.wall));
  to.add("version", version_text);
  to.add("pointer_size", 8 * sizeof(void*));
  to.add_seconds("rusage_user", facts.rusage_user);
  to.add_seconds("rusage_system", facts.rusage_system);
  to.add("max_connections", facts.connections_max);
  to.add("curr_connections", facts.connections_current);
  to.add("total_connections", facts.connections_total);
  to.add("rejected_connections", facts.connections_rejected);
  to.add("connection_structures", facts.connection_structures);
}

// The workers' counters between two of them, both included, in the order of worker_counters.
void add_counters(stat_rows& to, const worker_totals& totals, std::string_view first,
                  std::string_view last) {
  bool inside = false;
  for (std::size_t i = 0; i < totals.size(); ++i) {
    inside = inside || worker_counters[i].name == first;
    if (inside) to.add(worker_counters[i].name, totals[i]);
    if (worker_counters[i].name == last) break;
  }
}

void add_commands(stat_rows& to, const worker_totals& totals,
                  const engine::shard_statistics& items) {
  add_counters(to, totals, "cmd_get", "get_misses");
  // Of every command that met such an item, as memcached counts them.
  to.add("get_expired", items.find_expired);
  to.add("get_flushed", items.find_flushed);
  add_counters(to, totals, "delete_misses", "bytes_written");
}

void add_watching(stat_rows& to, const watch_hub::counts& counts) {
  to.add("log_worker_dropped", 0);  // there is nothing between a worker and the watchers' buffers
  to.add("log_worker_written", counts.published);
  to.add("log_watcher_skipped", counts.skipped);
  to.add("log_watcher_sent", counts.sent);
  to.add("log_watchers", counts.watchers);
}

void add_items(stat_rows& to, const engine::shard_statistics& items, const crawler& crawls) {
  to.add("unexpected_napi_ids", 0);
  to.add("round_robin_fallback", 0);
  to.add("bytes", items.item_bytes);
  to.add("curr_items", items.items);
  to.add("total_items", items.total_items);
  to.add("slab_global_page_pool", 0);
  to.add("expired_unfetched", items.expired_unfetched);
  to.add("evicted_unfetched", items.evicted_unfetched);
  to.add("evicted_active", 0);
  to.add("evictions", items.evictions);
  to.add("reclaimed", items.reclaimed);
  to.add("crawler_reclaimed", 0);
  to.add("crawler_items_checked", crawls.items_checked());
  to.add("lrutail_reflocked", 0);
  to.add("direct_reclaims", 0);
}

// What is only here.
void add_own(stat_rows& to, const store& data, const engine::shard_statistics& items) {
  to.add("memory_used_bytes", data.used_bytes());
  to.add("tombstones", items.tombstones);
  to.add("tombstone_bytes", items.tombstone_bytes);
  to.add("tombstones_dropped", items.tombstones_dropped);
  to.add("log_bytes", items.log_bytes);
  to.add("dead_bytes", items.dead_bytes);
  to.add("large_bytes", items.large_bytes);
  to.add("warm_bytes", items.warm_bytes);
  to.add("ghost_hits", items.ghost_hits);
  to.add("moved_bytes", items.moved_bytes);
  to.add("compacted_bytes", items.compacted_bytes);
}

// In memcached's order. Rows of things that are not here at all (libevent, slab moves, the LRU
// maintainer, response objects) are left out, as memcached leaves out what is switched off.
void answer_general(execution& with) {
  const process_facts facts = with.host.facts();
  const engine::shard_statistics items = with.data.statistics();
  const worker_totals totals = with.host.baseline().since_reset(sum_of(with.host.workers()));
  const crawler& crawls = with.host.crawls();
  stat_rows to;
  add_process(to, facts, with.now);
  add_commands(to, totals, items);
  to.add("limit_maxbytes", with.data.memory_limit());
  to.add("accepting_conns", facts.accepting ? 1 : 0);
  to.add("listen_disabled_num", facts.listen_disabled);
  to.add("time_in_listen_disabled_us", facts.listen_disabled_microseconds);
  to.add("threads", facts.threads);
  add_counters(to, totals, "conn_yields", "conn_yields");
  to.add("hash_bytes", items.index_bytes);
  to.add("hash_is_expanding", 0);  // a page at a time, within a store
  to.add("lru_crawler_running", crawls.dumping() ? 1 : 0);
  to.add("lru_crawler_starts", crawls.starts());
  add_watching(to, with.host.watchers().statistics());
  add_items(to, items, crawls);
  add_own(to, with.data, items);
  to.add(with.host.client_rows());
  for (const stat_row& row : with.host.replication())
    if (is_repcached_row(row)) to.add(row.first, row.second);
  to.send(with.out);
}

void answer_detail(execution& with, std::string_view mode) {
  if (!with.host.policy().dumps) return with.out.append(reply::no_detail);
  prefix_statistics& prefixes = with.host.prefixes();
  if (mode == "dump") return with.out.append(prefixes.dump());
  if (mode != "on" && mode != "off") return with.out.append(reply::detail_usage);
  prefixes.enable(mode == "on");
  with.out.append(reply::ok);
}

void answer_reset(execution& with) {
  with.host.baseline().reset(sum_of(with.host.workers()));
  with.host.prefixes().clear();
  with.host.reset_statistics();
  with.host.watchers().reset_statistics();
  with.host.crawls().reset_statistics();
  with.data.reset_statistics();
  with.out.append(reply::reset);
}

void answer_rows(execution& with, const std::vector<stat_row>& all) {
  stat_rows to;
  to.add(all);
  to.send(with.out);
}

}  // namespace

void answer_stats(execution& with, std::string_view arguments) {
  protocol::token_cursor words(arguments);
  const std::string_view command = words.next();
  if (command.empty()) return answer_general(with);
  if (command == "settings") return answer_settings(with);
  if (command == "items") return answer_items(with);
  if (command == "slabs") return answer_slabs(with);
  if (command == "sizes") return answer_rows(with, {{"sizes_status", "disabled"}});
  if (command == "conns") return answer_rows(with, with.host.connections());
  if (command == "replication") return answer_rows(with, with.host.replication());
  if (command == "detail") return answer_detail(with, words.next());
  if (command == "reset") return answer_reset(with);
  if (command == "cachedump") return answer_cachedump(with, words.rest());
  with.out.append(reply::unknown_command);
}

}  // namespace tandem::service
