#include "common/service/stats.h"

#include <charconv>
#include <concepts>
#include <cstdio>
#include <string>

#include "common/protocol/numbers.h"
#include "common/protocol/reply.h"
#include "common/protocol/tokens.h"
#include "common/service/cachedump.h"

namespace tandem::service {

namespace reply = protocol::reply;

namespace {

// Collects rows and sends them with the END.
class rows {
 public:
  void add(std::string_view name, std::string_view value) {
    text_.append("STAT ").append(name).append(" ").append(value).append(reply::crlf);
  }
  template <std::integral Integer>
  void add(std::string_view name, Integer value) {
    char digits[protocol::digits_max + 1];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    add(name, std::string_view(digits, static_cast<std::size_t>(end - digits)));
  }
  void add_seconds(std::string_view name, double seconds) {
    char text[64];
    const int length = std::snprintf(text, sizeof text, "%.6f", seconds);
    add(name, std::string_view(text, static_cast<std::size_t>(length)));
  }
  void add(const std::vector<stat_row>& more) {
    for (const auto& [name, value] : more) add(name, value);
  }
  void send(output_queue& out) {
    text_.append(reply::end);
    out.append(text_);
  }

 private:
  std::string text_;
};

bool is_repcached_row(const stat_row& row) {
  return row.first == "replication" || row.first.starts_with("repcached_");
}

void add_process(rows& to, const process_facts& facts, instant now) {
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
  rows to;
  add_process(to, facts, with.now);
  for (std::size_t i = 0; i < totals.size(); ++i) to.add(worker_counters[i].name, totals[i]);
  to.add("auth_cmds", 0);
  to.add("auth_errors", 0);
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
  to.add("large_bytes", items.large_bytes);
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
  rows to;
  for (const stat_row& row : own) {
    bool replaced = false;
    for (const stat_row& other : configured) replaced |= other.first == row.first;
    if (!replaced) to.add(row.first, row.second);
  }
  to.add(configured);
  to.send(with.out);
}

void answer_items(execution& with) {
  const engine::shard_statistics items = with.data.statistics();
  rows to;
  if (items.items != 0) {
    to.add("items:1:number", items.items);
    to.add("items:1:age", 0);
    to.add("items:1:mem_requested", items.item_bytes);
    to.add("items:1:evicted", items.evictions);
    to.add("items:1:evicted_nonzero", 0);
    to.add("items:1:evicted_time", 0);
    to.add("items:1:outofmemory", items.out_of_memory);
    to.add("items:1:tailrepairs", 0);
    to.add("items:1:reclaimed", items.reclaimed);
    to.add("items:1:expired_unfetched", items.expired_unfetched);
    to.add("items:1:evicted_unfetched", items.evicted_unfetched);
  }
  to.send(with.out);
}

// One class of 1 KiB chunks on 1 MiB pages: the tools that draw slab tables get true sums.
void answer_slabs(execution& with) {
  constexpr std::size_t chunk = 1024;
  constexpr std::size_t chunks_per_page = 1024;
  const worker_totals totals = with.host.baseline().since_reset(sum_of(with.host.workers()));
  const std::size_t used = with.data.used_bytes();
  const std::size_t used_chunks = (used + chunk - 1) / chunk;
  const std::size_t pages = (used_chunks + chunks_per_page - 1) / chunks_per_page;
  rows to;
  to.add("1:chunk_size", chunk);
  to.add("1:chunks_per_page", chunks_per_page);
  to.add("1:total_pages", pages);
  to.add("1:total_chunks", pages * chunks_per_page);
  to.add("1:used_chunks", used_chunks);
  to.add("1:free_chunks", pages * chunks_per_page - used_chunks);
  to.add("1:free_chunks_end", 0);
  for (const std::string_view name : {"get_hits", "cmd_set", "delete_hits", "incr_hits",
                                      "decr_hits", "cas_hits", "cas_badval", "touch_hits"}) {
    for (std::size_t i = 0; i < totals.size(); ++i)
      if (worker_counters[i].name == name) to.add("1:" + std::string(name), totals[i]);
  }
  to.add("active_slabs", 1);
  to.add("total_malloced", used);
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
  rows to;
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
