// The keys of programs that are run when the role changes: hooks. For schema.cc only.
#pragma once

#include <array>

#include "config/binding.h"

namespace tandem::config {
namespace detail {

template <auto Member>
constexpr key in_hooks(key k) {
  k.section = "hooks";
  return binding::bind<&options::hooks, Member>(k);
}
using H = hook_options;

}  // namespace detail

inline constexpr std::array hook_keys = {
    detail::in_hooks<&detail::H::pre_promote>(
        {.name = "pre_promote",
         .type = kind::program,
         .max = 64,
         .example = "/usr/local/sbin/may-lead",
         .description =
             "A program, with its arguments, that is asked before this node becomes master by its "
             "own decision, by a command or by a switchover (not when two nodes meet and agree). "
             "No "
             "shell is involved unless it is named. Exit status 0 agrees. Anything else is a veto, "
             "and so is a program that cannot be started or does not end in time: the node stays "
             "what it is, goes on serving if it did, and asks again after "
             "replication.reconnect_delay_max; a switchover is given up. The environment tells "
             "MEMTANDEM_HOOK, _ROLE, _TERM (that would begin), _PEER and _REASON."}),
    detail::in_hooks<&detail::H::post_promote>(
        {.name = "post_promote",
         .type = kind::program,
         .max = 64,
         .example = "/usr/local/sbin/address take 10.0.0.100",
         .description =
             "A program that is run when this node has become master, at its start too. In a "
             "switchover it may run before the other node's post_demote."}),
    detail::in_hooks<&detail::H::post_demote>(
        {.name = "post_demote",
         .type = kind::program,
         .max = 64,
         .example = "/usr/local/sbin/address leave 10.0.0.100",
         .description = "A program that is run when this node has ceased to be master."}),
    detail::in_hooks<&detail::H::split_heal>(
        {.name = "split_heal",
         .type = kind::program,
         .max = 64,
         .example = "/usr/local/sbin/tell-operators",
         .description =
             "A program that is run after two masters have met, when their data are one again. "
             "MEMTANDEM_CONFLICTS_WON and _LOST tell how many keys both had changed."}),
    detail::in_hooks<&detail::H::timeout>(
        {.name = "timeout",
         .type = kind::duration,
         .min = 10,
         .max = 10 * 60 * 1000,
         .example = "5s",
         .description =
             "How long one program may run; then it is killed with all it has started. Programs "
             "run one after the other, so one that hangs delays the next by as much, a takeover "
             "too."}),
};

}  // namespace tandem::config
