#include "common/service/stats.h"

#include <string>

#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"
#include "common/service/cachedump.h"
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

void answer_general(execution& with) {
  const process_facts facts = with.host.facts();
  const engine::shard_statistics items = with.data.statistics();
  const worker_totals totals = with.host.baseline().since_reset(sum_of(with.host.workers()));
  stat_rows to;
  add_process(to, facts, with.now);
  for (std::size_t i = 0; i < totals.size(); ++i) to.add(worker_counters[i].name, totals[i]);
  to.add("limit_maxbytes", with.data.memory_limit());
  to.add("accepting_conns", facts.accepting ? 1 : 0);
  to.add("listen_disabled_num", facts.listen_disabled);
  to.add("threads", facts.threads);
  to.add("hash_bytes", items.index_bytes);
  to.add("hash_is_expanding", 0);
  to.add("bytes", items.item_bytes);
  to.add("curr_items", items.items);
  to.add("total_items", items.total_items);
  to.add("expired_unfetched", items.expired_unfetched);
  to.add("evicted_unfetched", items.evicted_unfetched);
  to.add("evictions", items.evictions);
  to.add("reclaimed", items.reclaimed);
  // What is only here.
  to.add("memory_used_bytes", with.data.used_bytes());
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
  to.add(with.host.client_rows());
  for (const stat_row& row : with.host.replication())
    if (is_repcached_row(row)) to.add(row.first, row.second);
  to.send(with.out);
}

void answer_settings(execution& with) {
  const process_facts facts = with.host.facts();
  const std::vector<stat_row> configured = with.host.settings();
  const std::vector<stat_row> own = {
      {"maxbytes", std::to_string(with.data.memory_limit())},
      {"maxconns", std::to_string(facts.connections_max)},
      {"udpport", "0"},
      {"verbosity", std::to_string(facts.verbosity)},
      {"oldest", "0"},
      {"evictions", with.data.evicts() ? "on" : "off"},
      {"domain_socket", "NULL"},
      {"shutdown_command", "no"},
      {"num_threads", std::to_string(facts.threads)},
      {"stat_key_prefix", std::string(1, prefix_statistics::delimiter)},
      {"detail_enabled", with.host.prefixes().enabled() ? "yes" : "no"},
      {"cas_enabled", "yes"},
      {"binding_protocol", "ascii"},
      {"auth_enabled_sasl", "no"},
      {"auth_enabled_ascii", "no"},
      {"item_size_max", std::to_string(with.data.item_size_max())},
      {"maxconns_fast", "yes"},
      {"lru_crawler", "no"},
      {"flush_enabled", "yes"},
      {"dump_enabled", "yes"},
      {"hash_algorithm", "xxh3"},
      {"lru_maintainer_thread", "no"},
      {"lru_segmented", "no"},
      {"idle_timeout", "0"},
      {"track_sizes", "no"},
      {"ssl_enabled", "no"},
      {"client_flags_size", "4"},
  };
  stat_rows to;
  for (const stat_row& row : own) {
    bool replaced = false;
    for (const stat_row& other : configured) replaced |= other.first == row.first;
    if (!replaced) to.add(row.first, row.second);
  }
  to.add(configured);
  to.send(with.out);
}

void answer_detail(execution& with, std::string_view mode) {
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
  const bool dumps = command == "detail" || command == "cachedump";
  if (dumps && !with.host.policy().dumps) {
    with.out.append(command == "detail" ? reply::no_detail : reply::no_cachedump);
    return;
  }
  if (command == "detail") return answer_detail(with, words.next());
  if (command == "reset") return answer_reset(with);
  if (command == "cachedump") return answer_cachedump(with, words.rest());
  with.out.append(reply::unknown_command);
}

}  // namespace tandem::service
