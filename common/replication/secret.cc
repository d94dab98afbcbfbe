#include "common/replication/secret.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include "common/base/check.h"
#include "common/base/endian.h"

namespace tandem::replication {

namespace {

constexpr std::string_view purpose = "memtandem link proof 1";
constexpr std::size_t proof_bytes = 32;

// Each part behind its length, so that no two transcripts read the same.
std::string message(link_end prover, const handshake_transcript& said) {
  std::string all;
  const auto add = [&all](std::string_view part) {
    char size[sizeof(std::uint32_t)];
    store_le(size, static_cast<std::uint32_t>(part.size()));
    all.append(size, sizeof size).append(part);
  };
  add(purpose);
  add(prover == link_end::dialer ? "dialer" : "acceptor");
  add(said.dialer_hello);
  add(said.acceptor_hello);
  add({said.dialer_nonce.data(), said.dialer_nonce.size()});
  add({said.acceptor_nonce.data(), said.acceptor_nonce.size()});
  return all;
}

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  unsigned char result[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), result,
             &size) != nullptr);
  CHECK(size == proof_bytes);
  return {reinterpret_cast<const char*>(result), size};
}

}  // namespace

secrets_read parse_secrets(std::string_view text) {
  secrets_read read;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    const std::string where = "line " + std::to_string(number) + ": ";
    if (line.size() < secret_bytes_min || line.size() > secret_bytes_max) {
      read.error = where + "a secret has " + std::to_string(secret_bytes_min) + ".." +
                   std::to_string(secret_bytes_max) + " bytes (openssl rand -hex 32 makes one)";
      return read;
    }
    if (read.all.size() == secrets_max) {
      read.error = where + "more than " + std::to_string(secrets_max) + " secrets";
      return read;
    }
    read.all.emplace_back(line);
  }
  if (read.all.empty()) read.error = "it holds no secret (openssl rand -hex 32 makes one)";
  return read;
}

std::string prove(std::string_view secret, link_end prover, const handshake_transcript& said) {
  return hmac_sha256(secret, message(prover, said));
}

bool is_proof(std::string_view proof, const secrets& known, link_end prover,
              const handshake_transcript& said) {
  if (proof.size() != proof_bytes) return false;
  const std::string bytes = message(prover, said);
  bool good = false;
  for (const std::string& secret : known)
    good |= CRYPTO_memcmp(hmac_sha256(secret, bytes).data(), proof.data(), proof_bytes) == 0;
  return good;
}

}  // namespace tandem::replication
