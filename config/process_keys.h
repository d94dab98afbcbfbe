// The keys of the process itself: control, log, process. The last part of the table of keys; for
// schema.cc only.
#pragma once

#include <array>

#include "config/binding.h"

namespace tandem::config {

namespace detail {

template <auto Member>
constexpr key in_control(key k) {
  k.section = "control";
  return binding::bind<&options::control, Member>(k);
}
template <auto Member>
constexpr key in_log(key k) {
  k.section = "log";
  return binding::bind<&options::log, Member>(k);
}
template <auto Member>
constexpr key in_process(key k) {
  k.section = "process";
  return binding::bind<&options::process, Member>(k);
}

using O = control_options;
using G = log_options;
using P = process_options;

}  // namespace detail

inline constexpr std::array process_keys = {
    detail::in_control<&detail::O::socket>(
        {.name = "socket",
         .type = kind::string,
         .max = 107,
         .example = "/run/memtandem/control.sock",
         .description =
             "The UNIX socket for operators' commands: a line in (as 'status', 'switchover', "
             "'help'), lines of text and a closing 'OK' or 'ERROR reason' out. A socket that a "
             "crash left behind is replaced. Empty: none."}),
    detail::in_control<&detail::O::socket_mode>(
        {.name = "socket_mode",
         .type = kind::octal,
         .min = 0,
         .max = 0777,
         .example = "0660",
         .description = "The permissions of control.socket. Whoever may write to it can move the "
                        "mastership about and take this node out of service."}),

    detail::in_log<&detail::G::verbosity>(
        {.name = "verbosity",
         .type = kind::integer,
         .min = 0,
         .max = 2,
         .example = "1",
         .description = "0: starts, stops, role changes and problems. 1: connections and roles in "
                        "detail as well. 2: every command and frame too, which is slow and puts "
                        "keys in the log."}),
    detail::in_log<&detail::G::file>(
        {.name = "file",
         .type = kind::string,
         .max = 4095,
         .example = "/var/log/memtandem/memtandem.log",
         .description = "The file that the log is appended to. Empty: standard error, which is "
                        "lost after process.daemonize."}),

    detail::in_process<&detail::P::daemonize>(
        {.name = "daemonize",
         .type = kind::boolean,
         .example = "false",
         .description = "Go to the background and detach from the terminal. Not under systemd or "
                        "in a container: they would take it for an exit."}),
    detail::in_process<&detail::P::user>(
        {.name = "user",
         .type = kind::string,
         .max = 255,
         .example = "memtandem",
         .description = "The user to become once the ports are open. Needed when started as root "
                        "and without effect otherwise; empty: stay who we are."}),
    detail::in_process<&detail::P::pid_file>(
        {.name = "pid_file",
         .type = kind::string,
         .max = 4095,
         .example = "/run/memtandem/memtandem.pid",
         .description = "The file that the process id is written to, and removed from at the end. "
                        "Empty: none."}),
    detail::in_process<&detail::P::core_dumps>(
        {.name = "core_dumps",
         .type = kind::boolean,
         .example = "false",
         .description = "Raise the limit of core files to the maximum. A core file holds every "
                        "cached value."}),
    detail::in_process<&detail::P::lock_memory>(
        {.name = "lock_memory",
         .type = kind::boolean,
         .example = "false",
         .description = "Lock all memory, so that the cache is never swapped out. Needs a memlock "
                        "limit above cache.memory, or the start fails."}),
};

}  // namespace tandem::config
