// The keys of the HTTP port for operators: admin. A part of the table of keys; for schema.cc only.
#pragma once

#include <array>

#include "config/binding.h"

namespace tandem::config {

namespace detail {

template <auto Member>
constexpr key in_admin(key k) {
  k.section = "admin";
  return binding::bind<&options::admin, Member>(k);
}

}  // namespace detail

inline constexpr std::array admin_keys = {
    detail::in_admin<&admin_options::port>(
        {.name = "port",
         .type = kind::integer,
         .min = 1,
         .max = 65535,
         .zero = true,
         .example = "11213",
         .description =
             "The TCP port of the status page (/), /metrics for Prometheus, /status, /events, and "
             "of what load balancers ask: /health /liveness /readiness /primary /replica "
             "/read-only, answered with 200 or 503. 0: none."}),
    detail::in_admin<&admin_options::listen>(
        {.name = "listen",
         .type = kind::addresses,
         .max = 64,
         .example = "10.0.0.1",
         .description =
             "The addresses at which admin.port is open; an entry may have a port of its own. "
             "Everything but the commands is told to whoever can connect, so beyond this host it "
             "should be a network for operators."}),
    detail::in_admin<&admin_options::token_file>(
        {.name = "token_file",
         .type = kind::string,
         .min = 1,
         .max = 4095,
         .optional = true,
         .example = "/etc/memtandem/admin.token",
         .description =
             "A file whose first line is the token with which POST /switchover /promote /demote "
             "/drain /undrain /sync /audit /alone are taken, as 'Authorization: Bearer TOKEN' or "
             "by memtandemctl --url. SIGHUP reads it again. Unset: they are refused, and "
             "control.socket is the way."}),
    detail::in_admin<&admin_options::tls_certificate>(
        {.name = "tls_certificate",
         .type = kind::string,
         .min = 1,
         .max = 4095,
         .optional = true,
         .example = "/etc/memtandem/admin.pem",
         .description = "The certificate of the port and those between it and the authority, in "
                        "PEM. With it the port speaks HTTPS only. SIGHUP reads it again."}),
    detail::in_admin<&admin_options::tls_key>(
        {.name = "tls_key",
         .type = kind::string,
         .min = 1,
         .max = 4095,
         .optional = true,
         .example = "/etc/memtandem/admin.key",
         .description =
             "The private key of tls_certificate, in PEM. Unset: it is in tls_certificate."}),
    detail::in_admin<&admin_options::agent_port>(
        {.name = "agent_port",
         .type = kind::integer,
         .min = 1,
         .max = 65535,
         .zero = true,
         .example = "11214",
         .description =
             "The TCP port, at the hosts of admin.listen, of HAProxy's agent-check: whoever "
             "connects is told a line ('up ready', 'down' with the reason, or 'drain'). 0: none."}),
};

}  // namespace tandem::config
