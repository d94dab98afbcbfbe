// The keys of what clients meet: listen, tls, auth, commands. The first part of the table of keys;
// for schema.cc only.
#pragma once

#include <array>

#include "config/binding.h"

namespace tandem::config {

namespace detail {

template <auto Member>
constexpr key in_listen(key k) {
  k.section = "listen";
  return binding::bind<&options::listen, Member>(k);
}
template <auto Member>
constexpr key in_tls(key k) {
  k.section = "tls";
  return binding::bind<&options::tls, Member>(k);
}
template <auto Member>
constexpr key in_auth(key k) {
  k.section = "auth";
  return binding::bind<&options::auth, Member>(k);
}
template <auto Member>
constexpr key in_commands(key k) {
  k.section = "commands";
  return binding::bind<&options::commands, Member>(k);
}

constexpr std::int64_t path_bytes_max = 4095;
// sizeof(sockaddr_un::sun_path) without its NUL.
constexpr std::int64_t unix_path_bytes_max = 107;

using L = listen_options;
using T = tls_options;
using A = auth_options;
using D = command_options;

}  // namespace detail

inline constexpr std::array client_keys = {
    detail::in_listen<&detail::L::addresses>(
        {.name = "addresses",
         .type = kind::listeners,
         .max = 64,
         .example = "127.0.0.1",
         .description =
             "The addresses that clients connect to; '*' or an empty list means every address of "
             "this host, over IPv4 and IPv6. Whoever can reach them can read and change the whole "
             "cache, so on a host with a public address name the private one. With TLS an address "
             "may start with 'notls:' (none there), 'btls:' (no client certificate) or 'mtls:' "
             "(client certificate required)."}),
    detail::in_listen<&detail::L::port>(
        {.name = "port",
         .type = kind::integer,
         .min = 1,
         .max = 65535,
         .example = "11211",
         .description = "The TCP port of every address that names none. There is no UDP port."}),
    detail::in_listen<&detail::L::tcp>(
        {.name = "tcp",
         .type = kind::boolean,
         .example = "true",
         .description =
             "Open the addresses above. False leaves the UNIX socket as the only way in, which is "
             "what the flag -s means, as in memcached; the link to the peer stays."}),
    detail::in_listen<&detail::L::unix_socket>(
        {.name = "unix_socket",
         .type = kind::string,
         .max = detail::unix_path_bytes_max,
         .example = "/run/memtandem/memtandem.sock",
         .description = "The path of a UNIX socket for clients of this host. A file left there by "
                        "a process that is gone is replaced; the socket is removed when "
                        "the node stops serving, so process.user must be able to write to its "
                        "folder. Never TLS. Empty: none."}),
    detail::in_listen<&detail::L::unix_mask>(
        {.name = "unix_mask",
         .type = kind::octal,
         .min = 0,
         .max = 0777,
         .example = "0770",
         .description = "The permissions of the UNIX socket, in octal: who may write to it may "
                        "connect."}),
    detail::in_listen<&detail::L::backlog>(
        {.name = "backlog",
         .type = kind::integer,
         .min = 1,
         .max = 65535,
         .example = "1024",
         .description =
             "How many connections may wait in the kernel to be accepted; the kernel caps it at "
             "net.core.somaxconn. When it is full, new clients see a delay of a second or more."}),
    detail::in_listen<&detail::L::connections_max>(
        {.name = "connections_max",
         .type = kind::integer,
         .min = 1,
         .max = 1048576,
         .example = "1024",
         .description = "How many clients may be connected at once. Each takes a file descriptor "
                        "and a few KiB outside cache.memory; the limit of open files is raised to "
                        "fit. See reject_at_limit for one more than this."}),
    detail::in_listen<&detail::L::reject_at_limit>(
        {.name = "reject_at_limit",
         .type = kind::boolean,
         .example = "false",
         .description = "A client over connections_max is told 'ERROR Too many open connections' "
                        "and closed. With false nobody is accepted until a connection is free: it "
                        "waits in the kernel (see backlog), without an answer."}),
    detail::in_listen<&detail::L::idle_timeout>(
        {.name = "idle_timeout",
         .type = kind::duration,
         .min = 10,
         .max = std::int64_t{30} * 24 * 3'600'000,
         .zero = true,
         .example = "10m",
         .description = "A client that sends nothing for so long is closed, give or take a quarter "
                        "of it. Pools of connections reconnect by themselves, simple clients do "
                        "not. 0 means never."}),
    detail::in_listen<&detail::L::write_timeout>(
        {.name = "write_timeout",
         .type = kind::duration,
         .min = 10,
         .max = 3'600'000,
         .example = "30s",
         .description =
             "A client that does not read its replies is closed after so long, or it would hold "
             "their memory for ever: it has to take all that waits, or 64 KiB of it, within each "
             "such time. Shorter frees memory sooner; longer suffers slower networks."}),
    detail::in_listen<&detail::L::reuse_port>(
        {.name = "reuse_port",
         .type = kind::boolean,
         .example = "false",
         .description =
             "Open the client port with SO_REUSEPORT, so that a second process may open it while "
             "this one runs. Two caches behind one port give clients answers from either: use it "
             "only for a hand-over by a supervisor that knows what it does."}),

    detail::in_tls<&detail::T::enabled>(
        {.name = "enabled",
         .type = kind::boolean,
         .example = "false",
         .description = "Speak TLS at the clients' addresses. Needs certificate_file. SIGHUP and "
                        "the command refresh_certs load the files again; connections that exist go "
                        "on as they are."}),
    detail::in_tls<&detail::T::certificate_file>(
        {.name = "certificate_file",
         .type = kind::string,
         .max = detail::path_bytes_max,
         .example = "/etc/memtandem/server.pem",
         .description = "The server's certificate and those between it and the authority, in PEM, "
                        "its own first."}),
    detail::in_tls<&detail::T::key_file>(
        {.name = "key_file",
         .type = kind::string,
         .max = detail::path_bytes_max,
         .example = "/etc/memtandem/server.key",
         .description = "The private key of the certificate. It must be readable for process.user "
                        "too, or it cannot be loaded again. Empty: it is in certificate_file."}),
    detail::in_tls<&detail::T::format>({.name = "key_format",
                                        .type = kind::choice,
                                        .choices = "pem|der",
                                        .example = "der",
                                        .description = "How key_file is written: PEM, which is "
                                                       "text, or DER, which is not."}),
    detail::in_tls<&detail::T::verify>(
        {.name = "verify",
         .type = kind::choice,
         .choices = "none|request|require",
         .example = "require",
         .description =
             "Whether a client shows a certificate. none: it is not asked; request: one that is "
             "shown must be good; require: without a good one it is refused. Without ca_file none "
             "is "
             "good."}),
    detail::in_tls<&detail::T::ca_file>(
        {.name = "ca_file",
         .type = kind::string,
         .max = detail::path_bytes_max,
         .example = "/etc/memtandem/clients-ca.pem",
         .description = "The authorities, in PEM, whose client certificates are good."}),
    detail::in_tls<&detail::T::ciphers>(
        {.name = "ciphers",
         .type = kind::string,
         .max = detail::path_bytes_max,
         .example = "ECDHE+AESGCM",
         .description = "The ciphers that are taken with TLS 1.2 and below, in OpenSSL's notation "
                        "(ciphers(1)). Empty: OpenSSL's choice."}),
    detail::in_tls<&detail::T::min_version>(
        {.name = "min_version",
         .type = kind::choice,
         .choices = "1.0|1.1|1.2|1.3",
         .example = "1.3",
         .description = "The oldest version of TLS that is spoken. Below 1.2 needs ciphers with "
                        "'@SECLEVEL=0' as well, and is broken."}),
    detail::in_tls<&detail::T::session_cache>(
        {.name = "session_cache",
         .type = kind::boolean,
         .example = "true",
         .description = "Let a client that returns resume its session, which saves both sides the "
                        "costly part of the handshake. Sessions end with the certificates."}),
    detail::in_tls<&detail::T::kernel_tls>(
        {.name = "kernel_tls",
         .type = kind::boolean,
         .example = "true",
         .description = "Leave encryption to the kernel where it can do it (module tls), which "
                        "saves a copy of large values. Without the module it changes nothing."}),
    detail::in_tls<&detail::T::write_buffer>(
        {.name = "write_buffer",
         .type = kind::size,
         .min = 1024,
         .max = std::int64_t{1024} * 1024,
         .example = "16KiB",
         .description = "How much of short replies is gathered for one write; one for each thread. "
                        "A TLS record holds 16KiB."}),
    detail::in_tls<&detail::T::handshake_timeout>(
        {.name = "handshake_timeout",
         .type = kind::duration,
         .min = 10,
         .max = 600'000,
         .example = "10s",
         .description = "How long a client may take for the handshake before it is closed. It "
                        "holds one of connections_max all that time."}),

    detail::in_auth<&detail::A::file>(
        {.name = "file",
         .type = kind::string,
         .max = detail::path_bytes_max,
         .example = "/etc/memtandem/users",
         .description =
             "A file with a line USER:PASSWORD for each of at most 8 users. Then a client must "
             "first send a set (of any key) whose value is 'USER PASSWORD'; everything else is "
             "answered 'CLIENT_ERROR unauthenticated'. SIGHUP reads it again. Without TLS the "
             "network sees the passwords. Empty: everybody is let in."}),

    detail::in_commands<&detail::D::flush_all>(
        {.name = "flush_all",
         .type = kind::choice,
         .choices = "allow|deny",
         .example = "deny",
         .description = "Whether clients may empty the cache, on both nodes. Some client libraries "
                        "do it when they reconnect. The log says who did, or tried."}),
    detail::in_commands<&detail::D::shutdown>(
        {.name = "shutdown",
         .type = kind::choice,
         .choices = "allow|deny",
         .example = "allow",
         .description = "Whether clients may end the process by the command 'shutdown'. The peer "
                        "then takes over."}),
    detail::in_commands<&detail::D::dumps>(
        {.name = "dumps",
         .type = kind::choice,
         .choices = "allow|deny",
         .example = "deny",
         .description = "Whether clients may list the keys of the cache (stats cachedump, stats "
                        "detail, lru_crawler metadump and the like)."}),
    detail::in_commands<&detail::D::watch>(
        {.name = "watch",
         .type = kind::choice,
         .choices = "allow|deny",
         .example = "deny",
         .description = "Whether clients may watch what others do (watch fetchers, mutations and "
                        "the like). At most 20 at once, with 256 KiB of lines each; a slow one "
                        "misses some and slows down nobody."}),
};

}  // namespace tandem::config
