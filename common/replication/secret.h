// The shared secret of the link: what its file may hold, and the proof that a node has it.
//
// A proof is HMAC-SHA256 (RFC 2104) under the secret over who proves, the dialler or the acceptor,
// both hellos as they were sent and both sides' nonces. So nothing in a hello can be changed on the
// way, a proof is good for one connection only (each side chose a nonce of it), and one sent back
// to its maker proves nothing. It does not protect what is sent afterwards: TLS does.
//
// Pure functions by OpenSSL's libcrypto; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::replication {

// Unpredictable and never used twice.
using nonce = std::array<char, 32>;

// The first proves, each is accepted: so the secret can be changed on one node after the other.
using secrets = std::vector<std::string>;
constexpr std::size_t secrets_max = 4;
// Less could be found by trying, from a handshake that somebody overheard.
constexpr std::size_t secret_bytes_min = 16;
constexpr std::size_t secret_bytes_max = 256;
// Of a whole file, comments and all.
constexpr std::size_t secret_file_bytes_max = 4096;

struct secrets_read {
  secrets all;
  std::string error;  // empty: `all` holds 1..secrets_max
};
// A secret a line; empty lines and those that begin with '#' are skipped. No message quotes one.
secrets_read parse_secrets(std::string_view text);

enum class link_end : std::uint8_t { dialer, acceptor };

// What both sides have said of a connection; payloads as they were sent.
struct handshake_transcript {
  std::string_view dialer_hello;
  std::string_view acceptor_hello;
  nonce dialer_nonce{};
  nonce acceptor_nonce{};
};

// 32 bytes.
std::string prove(std::string_view secret, link_end prover, const handshake_transcript& said);
// Whether `proof` was made by `prover` with one of the secrets. How long it takes tells nothing of
// them.
bool is_proof(std::string_view proof, const secrets& known, link_end prover,
              const handshake_transcript& said);

}  // namespace tandem::replication
