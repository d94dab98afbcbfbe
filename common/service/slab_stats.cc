#include "common/service/slab_stats.h"

#include <algorithm>
#include <string>

#include "common/engine/record.h"
#include "common/service/stat_rows.h"

namespace tandem::service {

using engine::band_statistics;
using engine::shard_statistics;

namespace {

constexpr std::size_t page = std::size_t{1} << 20;

// The names of the rows of one class.
std::string row(std::string_view prefix, unsigned band, std::string_view name) {
  return std::string(prefix)
      .append(std::to_string(slab_class_of_band(band)))
      .append(":")
      .append(name);
}

bool has_content(const band_statistics& band) {
  return band.items != 0 || band.segments != 0 || band.evictions != 0 || band.reclaimed != 0;
}

// The engine counts stores without memory for the whole shard: they are all in the first class.
bool has_rows(const shard_statistics& all, unsigned band) {
  return has_content(all.by_band[band]) || (band == 0 && all.out_of_memory != 0);
}

std::size_t chunk_size(unsigned band, std::size_t item_size_max) {
  const auto& bounds = engine::band_bytes_max;
  return band < bounds.size() ? bounds[band] : std::max(item_size_max, bounds.back());
}

// Memory that a band holds: its segments, or, where most of it is in pages of large values, its
// items.
std::size_t memory_of(const band_statistics& band, std::size_t segment_bytes) {
  return std::max<std::size_t>(band.segments * segment_bytes, band.bytes);
}

}  // namespace

std::size_t stored_bytes(const engine::item_view& item) {
  const engine::record::layout fields{item.meta.flags != 0, static_cast<bool>(item.meta.touched),
                                      item.meta.has_own_cas()};
  return engine::record::bytes_for(item.key.size(), item.value.size(), fields,
                                   item.large != nullptr) +
         (item.large ? engine::large_value::footprint(item.large->size()) : 0);
}

unsigned slab_class_of(const engine::item_view& item) {
  const auto& bounds = engine::band_bytes_max;
  const auto band =
      std::lower_bound(bounds.begin(), bounds.end(), stored_bytes(item)) - bounds.begin();
  return slab_class_of_band(static_cast<unsigned>(band));
}

void answer_items(execution& with) {
  const shard_statistics all = with.data.statistics();
  const std::uint64_t now = unix_seconds(with.now.wall);
  stat_rows to;
  for (unsigned band = 0; band < engine::bands; ++band) {
    if (!has_rows(all, band)) continue;
    const band_statistics& of = all.by_band[band];
    // A memcached without its LRU maintainer has these rows and no others.
    const std::pair<const char*, std::uint64_t> rows[] = {
        {"number", of.items},
        {"age", of.oldest == 0 ? 0 : now - std::min(now, of.oldest)},
        {"mem_requested", of.bytes},
        {"evicted", of.evictions},
        {"evicted_nonzero", of.evicted_with_exptime},
        {"evicted_time", of.evicted_idle},
        {"outofmemory", band == 0 ? all.out_of_memory : 0},
        {"tailrepairs", 0},
        {"reclaimed", of.reclaimed},
        {"expired_unfetched", of.expired_unfetched},
        {"evicted_unfetched", of.evicted_unfetched},
        {"crawler_reclaimed", 0},
        {"crawler_items_checked", 0},
        {"lrutail_reflocked", 0},
    };
    for (const auto& [name, value] : rows) to.add(row("items:", band, name), value);
  }
  to.send(with.out);
}

void answer_slabs(execution& with) {
  const shard_statistics all = with.data.statistics();
  const worker_totals totals = with.host.baseline().since_reset(sum_of(with.host.workers()));
  stat_rows to;
  unsigned active = 0;
  for (unsigned band = 0; band < engine::bands; ++band) {
    // The workers count commands, not by class: they are all in the first, which is always there.
    if (band != 0 && !has_rows(all, band)) continue;
    const band_statistics& of = all.by_band[band];
    const std::size_t chunk = chunk_size(band, with.data.item_size_max());
    const std::size_t memory = memory_of(of, with.data.segment_bytes());
    const std::size_t unused = (memory - of.bytes) / chunk;
    if (memory != 0) ++active;
    const std::pair<const char*, std::uint64_t> rows[] = {
        {"chunk_size", chunk},
        {"chunks_per_page", std::max<std::size_t>(page / chunk, 1)},
        {"total_pages", (memory + page - 1) / page},
        {"total_chunks", of.items + unused},
        {"used_chunks", of.items},
        {"free_chunks", unused},
        {"free_chunks_end", 0},
        {"mem_requested", of.bytes},
    };
    for (const auto& [name, value] : rows) to.add(row("", band, name), value);
    for (const std::string_view name : {"get_hits", "cmd_set", "delete_hits", "incr_hits",
                                        "decr_hits", "cas_hits", "cas_badval", "touch_hits"}) {
      for (std::size_t i = 0; i < totals.size(); ++i)
        if (worker_counters[i].name == name) to.add(row("", band, name), band == 0 ? totals[i] : 0);
    }
  }
  to.add("active_slabs", active);
  to.add("total_malloced", with.data.used_bytes());
  to.send(with.out);
}

}  // namespace tandem::service
