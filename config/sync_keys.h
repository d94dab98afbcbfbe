// The keys of what is sent to the peer and how both are kept the same: the last part of section
// `replication`. For schema.cc only.
#pragma once

#include <array>

#include "config/binding.h"

namespace tandem::config {

namespace detail {

template <auto Member>
constexpr key in_sync(key k) {
  k.section = "replication";
  return binding::bind<&options::replication, Member>(k);
}

constexpr std::int64_t sync_rate_min = std::int64_t{64} << 10;
constexpr std::int64_t sync_rate_max = std::int64_t{64} << 30;
constexpr std::int64_t day = std::int64_t{24} * 60 * 60 * 1000;

using S = replication_options;

}  // namespace detail

inline constexpr std::array sync_keys = {
    detail::in_sync<&detail::S::sync_rate>(
        {.name = "sync_rate",
         .type = kind::size,
         .min = detail::sync_rate_min,
         .max = detail::sync_rate_max,
         .zero = true,
         .example = "100MiB",
         .description =
             "How many bytes a second a copy to the peer may take of the link. What clients change "
             "meanwhile is sent first and not counted. A slow copy spares a busy network, and "
             "leaves the pair without its twin for longer. 0 means as fast as it goes."}),
    detail::in_sync<&detail::S::compression>(
        {.name = "compression",
         .type = kind::choice,
         .choices = "none|lz4|zstd",
         .example = "lz4",
         .description =
             "Compress what is sent to the peer, where it gets smaller by it: lz4 costs little CPU "
             "time, zstd a few times as much for fewer bytes. For links that are slower than the "
             "nodes; on a fast network none is faster. Each node chooses for its own direction."}),
    detail::in_sync<&detail::S::clock_skew_warn>(
        {.name = "clock_skew_warn",
         .type = kind::duration,
         .min = 10,
         .max = detail::day,
         .zero = true,
         .example = "500ms",
         .description = "A peer whose clock differs from ours by so much is warned of in the log, "
                        "once, until the clocks agree again. 0 means never."}),
    detail::in_sync<&detail::S::audit_interval>(
        {.name = "audit_interval",
         .type = kind::duration,
         .min = 1000,
         .max = 30 * detail::day,
         .zero = true,
         .example = "1h",
         .description =
             "How often a master compares its data with the peer's: digests of ranges of keys, and "
             "the keys where those differ. What differs is counted and logged, not changed. It "
             "reads all values of both nodes, in small steps. 0 means never."}),
};

}  // namespace tandem::config
