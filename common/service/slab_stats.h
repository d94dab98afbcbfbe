// `stats items` and `stats slabs`, in memcached's terms: a slab class (1 to 4) for each of the
// engine's bands of sizes.
//
// What holds: over all classes, number and used_chunks sum to curr_items, mem_requested to bytes,
// evicted, evicted_unfetched, reclaimed and expired_unfetched to the rows of `stats` named so. A
// class is there once it holds something or has counted something.
//
// A chunk here is not a place of fixed size: chunk_size is what the largest item of the class
// takes, used_chunks are the items, free_chunks such items that would fit in what the class holds
// of memory beyond its items. A page is 1 MiB of it, begun ones too.
#pragma once

#include "common/service/executor.h"

namespace tandem::service {

constexpr unsigned slab_class_of_band(unsigned band) {
  return band + 1;
}
// What a stored value takes of memory: its record and the pages of a large value.
std::size_t stored_bytes(const engine::item_view& item);
// The class of a stored value. One whose size is within a few bytes of the band's bound may be
// counted by the engine in the class before.
unsigned slab_class_of(const engine::item_view& item);

void answer_items(execution& with);
void answer_slabs(execution& with);

}  // namespace tandem::service
