// The keys of how the nodes prove to each other who they are: the end of section `replication`. A
// part of the table of keys; for schema.cc only.
#pragma once

#include <array>

#include "config/binding.h"
#include "config/client_keys.h"

namespace tandem::config {

namespace detail {

template <auto Member>
constexpr key in_link(key k) {
  k.section = "replication";
  return binding::bind<&options::replication, Member>(k);
}

using R = replication_options;

}  // namespace detail

inline constexpr std::array link_security_keys = {
    detail::in_link<&detail::R::secret_file>(
        {.name = "secret_file",
         .type = kind::string,
         .min = 1,
         .max = detail::path_bytes_max,
         .optional = true,
         .example = "/etc/memtandem/link.secret",
         .description =
             "A file with a secret of 16..256 bytes that both nodes share ('openssl rand -hex 32' "
             "makes one); only process.user should be able to read it. Each node then proves to "
             "the other that it knows it, and a peer without it is refused. The file may hold up "
             "to 4, a line each: the first proves, every one is accepted, and SIGHUP reads it "
             "again, so a new one is added below the old on both nodes, then put first on both, "
             "then the old removed from both, with a SIGHUP each time. It does not encrypt the "
             "link and does not protect its bytes on the way: tls_certificate does."}),
    detail::in_link<&detail::R::tls_certificate>(
        {.name = "tls_certificate",
         .type = kind::string,
         .min = 1,
         .max = detail::path_bytes_max,
         .optional = true,
         .example = "/etc/memtandem/link.pem",
         .description =
             "This node's certificate for the link and those between it and the authority, in PEM, "
             "its own first. The link is then TLS 1.3 only, and both nodes check each other's "
             "certificate, so one that names its uses must name server and client. Needs tls_ca. "
             "SIGHUP reads all files of the link again; a link that is up goes on as it is."}),
    detail::in_link<&detail::R::tls_key>(
        {.name = "tls_key",
         .type = kind::string,
         .min = 1,
         .max = detail::path_bytes_max,
         .optional = true,
         .example = "/etc/memtandem/link.key",
         .description =
             "The private key of tls_certificate, in PEM. It must be readable for process.user "
             "too, or it cannot be read again. Unset: it is in tls_certificate."}),
    detail::in_link<&detail::R::tls_ca>(
        {.name = "tls_ca",
         .type = kind::string,
         .min = 1,
         .max = detail::path_bytes_max,
         .optional = true,
         .example = "/etc/memtandem/link-ca.pem",
         .description =
             "The authorities, in PEM, whose certificates are good for a peer. Best is one that "
             "signs for these two nodes and nobody else; where it signs for others, name the peer "
             "by tls_peer_name."}),
    detail::in_link<&detail::R::tls_peer_name>(
        {.name = "tls_peer_name",
         .type = kind::string,
         .min = 1,
         .max = 255,
         .optional = true,
         .example = "cache.example.org",
         .description =
             "A name or address that the peer's certificate must have, among its alternative names "
             "or, if it has none, as its common name. Unset: any that tls_ca has signed."}),
};

}  // namespace tandem::config
