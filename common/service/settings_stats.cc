#include "common/service/settings_stats.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/service/stat_rows.h"

namespace tandem::service {
namespace {

const char* yes_no(bool value) {
  return value ? "yes" : "no";
}

// The first half of memcached's rows: connections, threads, items.
std::vector<stat_row> first_rows(execution& with, const process_facts& facts) {
  const std::string threads = std::to_string(facts.threads);
  return {
      {"maxbytes", std::to_string(with.data.memory_limit())},
      {"maxconns", std::to_string(facts.connections_max)},
      {"tcpport", "0"},
      {"udpport", "0"},
      {"inter", "NULL"},
      {"verbosity", std::to_string(facts.verbosity)},
      {"oldest", "0"},
      {"evictions", with.data.evicts() ? "on" : "off"},
      {"domain_socket", "NULL"},
      {"umask", "700"},
      {"shutdown_command", yes_no(with.host.policy().shutdown)},
      {"growth_factor", "1.25"},
      {"chunk_size", "48"},
      {"num_threads", threads},
      {"num_threads_per_udp", threads},
      {"stat_key_prefix", std::string(1, prefix_statistics::delimiter)},
      {"detail_enabled", yes_no(with.host.prefixes().enabled())},
      {"reqs_per_event", "0"},
      {"cas_enabled", yes_no(with.data.gives_cas())},
      {"tcp_backlog", "0"},
      {"binding_protocol", "ascii"},
      {"auth_enabled_sasl", "no"},
      {"auth_enabled_ascii", "no"},
      {"item_size_max", std::to_string(with.data.item_size_max())},
      {"maxconns_fast", "yes"},
      {"hashpower_init", "0"},
  };
}

// The second: memory, the LRU, logging, TLS.
std::vector<stat_row> second_rows(execution& with) {
  const crawler& crawls = with.host.crawls();
  return {
      {"slab_reassign", "no"},
      {"slab_automove", std::to_string(crawls.automove.load(std::memory_order_relaxed))},
      {"slab_automove_ratio", "0.00"},
      {"slab_automove_window",
       std::to_string(crawls.automove_window.load(std::memory_order_relaxed))},
      {"slab_chunk_max", std::to_string(with.data.segment_bytes())},
      {"lru_crawler", yes_no(crawls.enabled())},
      {"lru_crawler_sleep",
       std::to_string(crawls.sleep_microseconds.load(std::memory_order_relaxed))},
      {"lru_crawler_tocrawl", std::to_string(crawls.items_per_run.load(std::memory_order_relaxed))},
      {"tail_repair_time", "0"},
      {"flush_enabled", yes_no(with.host.policy().flush_all)},
      {"dump_enabled", yes_no(with.host.policy().dumps)},
      {"hash_algorithm", "xxh3"},
      {"lru_maintainer_thread", "no"},
      {"lru_segmented", "no"},
      {"hot_lru_pct", "0"},
      {"warm_lru_pct", "0"},
      {"hot_max_factor", "0.00"},
      {"warm_max_factor", "0.00"},
      {"temp_lru", "no"},
      {"temporary_ttl", "0"},
      {"idle_timeout", "0"},
      {"watcher_logbuf_size", std::to_string(watch_hub::buffer_bytes)},
      {"worker_logbuf_size", "0"},
      {"read_buf_mem_limit", "0"},
      {"track_sizes", "no"},
      {"inline_ascii_response", "no"},
      {"ssl_enabled", "no"},
      {"ssl_chain_cert", "NULL"},
      {"ssl_key", "NULL"},
      {"ssl_verify_mode", "0"},
      {"ssl_keyformat", "1"},
      {"ssl_ciphers", "NULL"},
      {"ssl_ca_cert", "NULL"},
      {"ssl_wbuf_size", "0"},
      {"ssl_session_cache", "no"},
      {"ssl_kernel_tls", "no"},
      {"ssl_min_version", "NULL"},
      {"num_napi_ids", "0"},
      {"memory_file", "(null)"},
      {"client_flags_size", "4"},
  };
}

// Takes the row named so out of `from`.
bool take(std::vector<stat_row>& from, const std::string& name, stat_row& taken) {
  const auto found = std::find_if(from.begin(), from.end(),
                                  [&](const stat_row& row) { return row.first == name; });
  if (found == from.end()) return false;
  taken = std::move(*found);
  from.erase(found);
  return true;
}

}  // namespace

void answer_settings(execution& with) {
  std::vector<stat_row> rows = first_rows(with, with.host.facts());
  for (stat_row& row : second_rows(with)) rows.push_back(std::move(row));
  std::vector<stat_row> configured = with.host.settings();
  stat_rows to;
  for (stat_row& row : rows) {
    take(configured, row.first, row);
    to.add(row.first, row.second);
  }
  to.add("watch_enabled", yes_no(with.host.policy().watch));
  to.add(configured);
  to.send(with.out);
}

}  // namespace tandem::service
