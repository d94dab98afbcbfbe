// What a split costs, counted where records merge (replication/split.h says what is counted).
#include <utility>

#include "common/service/store.h"

namespace tandem::service {

using replication::merge_verdict;
using replication::record;
using replication::record_kind;
using replication::split_report;

void store::begin_split() {
  for (const auto& p : partitions_) {
    const std::lock_guard guard(p->mutex);
    p->split_since = p->clock.last();
  }
}

void store::count_conflicts() {
  {
    const std::lock_guard guard(split_mutex_);
    split_ = {};
  }
  counting_conflicts_.store(true, std::memory_order_relaxed);
}

split_report store::end_split() {
  counting_conflicts_.store(false, std::memory_order_relaxed);
  const std::lock_guard guard(split_mutex_);
  return std::exchange(split_, {});
}

// The shard's lock is held.
void store::note_conflict(const partition& p, const engine::item_view& local,
                          const record& incoming, merge_verdict verdict) {
  if (incoming.kind == record_kind::gone) return;
  const version here = local.meta.changed(), there = incoming.meta.changed();
  const unsigned self = node_id_.load(std::memory_order_relaxed);
  if (here <= p.split_since || there <= p.split_since || here.node() != self ||
      there.node() == self)
    return;
  const bool won = verdict == merge_verdict::keep;
  const std::lock_guard guard(split_mutex_);
  ++(won ? split_.won : split_.lost);
  if (split_.samples.size() < split_report::samples_max)
    split_.samples.push_back({std::string(local.key), won});
}

}  // namespace tandem::service
