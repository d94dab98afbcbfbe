// The keys of what is kept, and how much of it: section `cache`. For schema.cc only.
#pragma once

#include <array>

#include "config/binding.h"

namespace tandem::config {

namespace detail {

template <auto Member>
constexpr key in_cache(key k) {
  k.section = "cache";
  return binding::bind<&options::cache, Member>(k);
}

constexpr std::int64_t cache_kib = 1024, cache_mib = cache_kib * 1024;
constexpr std::int64_t cache_gib = cache_mib * 1024, cache_tib = cache_gib * 1024;

using C = cache_options;

}  // namespace detail

inline constexpr std::array cache_keys = {
    detail::in_cache<&detail::C::engine>(
        {.name = "engine",
         .type = kind::choice,
         .choices = "embedded|memcached",
         .example = "memcached",
         .description =
             "Where the data is. embedded: in this process. memcached: in an unmodified memcached "
             "(1.6.18 or later) beside it, see backend; then this process passes requests on, and "
             "the memory below is for what it knows of the keys there."}),
    detail::in_cache<&detail::C::memory_bytes>(
        {.name = "memory",
         .type = kind::size,
         .min = detail::cache_mib,
         .max = 16 * detail::cache_tib,
         .example = "64MiB",
         .description =
             "The memory of the cache. Everything counts: items, index, tombstones and the "
             "replication journal. When it is full the least useful items are evicted (see evict). "
             "Give both nodes the same, or the smaller one evicts what the larger one keeps."}),
    detail::in_cache<&detail::C::item_size_max>(
        {.name = "item_size_max",
         .type = kind::size,
         .min = detail::cache_kib,
         .max = detail::cache_gib,
         .example = "1MiB",
         .description = "The largest item, key and value together. A larger store is answered "
                        "'SERVER_ERROR object too large for cache'. At most cache.memory; give "
                        "both nodes the same, or large items exist on one of them only."}),
    detail::in_cache<&detail::C::evict>(
        {.name = "evict",
         .type = kind::boolean,
         .example = "true",
         .description = "Make room by evicting items when the memory is full. With false a store "
                        "is answered 'SERVER_ERROR out of memory' instead, here and for what the "
                        "peer sends, so that a full node can fall behind its peer."}),
    detail::in_cache<&detail::C::cas>(
        {.name = "cas",
         .type = kind::boolean,
         .example = "true",
         .description = "Give every item that is stored a CAS unique. With false it is 0 for all, "
                        "as memcached's -C has it, and cas guards against nothing; unlike there "
                        "it costs 8 bytes an item."}),
};

}  // namespace tandem::config
