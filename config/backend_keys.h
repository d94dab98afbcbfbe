// The keys of the memcached that keeps the data where cache.engine says so: section `backend`. For
// schema.cc only.
#pragma once

#include <array>

#include "config/binding.h"

namespace tandem::config {

namespace detail {

template <auto Member>
constexpr key in_backend(key k) {
  k.section = "backend";
  return binding::bind<&options::backend, Member>(k);
}

constexpr std::int64_t backend_minute = 60000;
constexpr std::int64_t backend_address_max = 300;  // bytes

using B = backend_options;

}  // namespace detail

inline constexpr std::array backend_keys = {
    detail::in_backend<&detail::B::address>(
        {.name = "address",
         .type = kind::string,
         .max = detail::backend_address_max,
         .example = "/run/memcached/memcached.sock",
         .description =
             "Where the memcached is, with cache.engine: memcached: the path of its UNIX socket, "
             "or HOST:PORT. Best is a socket that only this process may open (memcached's -s and "
             "-a 0700, same user): what others write there is not replicated."}),
    detail::in_backend<&detail::B::timeout>(
        {.name = "timeout",
         .type = kind::duration,
         .min = 10,
         .max = 10 * detail::backend_minute,
         .example = "1s",
         .description =
             "How long the memcached may take to connect and to answer. After that its connection "
             "is given up, and every request that waits there is answered SERVER_ERROR; whether "
             "it was executed is not known then. A little more at the most."}),
    detail::in_backend<&detail::B::reconnect_delay>(
        {.name = "reconnect_delay",
         .type = kind::duration,
         .min = 10,
         .max = detail::backend_minute,
         .example = "100ms",
         .description = "The pause between two attempts to connect to it, which go on for ever. "
                        "Meanwhile requests are answered SERVER_ERROR at once."}),
    detail::in_backend<&detail::B::watch_writes>(
        {.name = "watch_writes",
         .type = kind::boolean,
         .example = "true",
         .description =
             "Have the memcached tell what is changed there (its `watch mutations deletions`), to "
             "notice writes that went round this process, which are not replicated: they are "
             "counted (backend_bypassed) and warned of. It does not tell of all: not of incr, "
             "touch and flush_all, nor, before 1.6.20, of deletes. Costs it a line for each "
             "change."}),
};

}  // namespace tandem::config
