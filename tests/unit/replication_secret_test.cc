#include "common/replication/secret.h"

#include <string>

#include "tests/unit/catch.h"

using namespace tandem::replication;

namespace {

nonce filled(char with) {
  nonce n;
  n.fill(with);
  return n;
}

handshake_transcript said() {
  return {"hello of the dialler", "hello of the acceptor", filled('d'), filled('a')};
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
    out += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

const std::string secret = "0123456789abcdef";

}  // namespace

TEST_CASE("a proof is the HMAC-SHA256 that its description says") {
  // Computed by Python's hmac.
  REQUIRE(hex(prove(secret, link_end::dialer, said())) ==
          "8d828ba7656adafdf7aa10007703fb501196b49cee4fe0c14a8cdf4d0f06c31e");
  REQUIRE(hex(prove(secret, link_end::acceptor, said())) ==
          "b22c580cfced7a0e97acc470e7394795e22dbad7d37333f624197e367667081c");
}

TEST_CASE("a proof is good for its maker, its end and its transcript only") {
  const std::string proof = prove(secret, link_end::dialer, said());
  REQUIRE(is_proof(proof, {secret}, link_end::dialer, said()));
  REQUIRE(is_proof(proof, {"another secret...", secret}, link_end::dialer, said()));
  REQUIRE_FALSE(is_proof(proof, {}, link_end::dialer, said()));
  REQUIRE_FALSE(is_proof(proof, {"another secret..."}, link_end::dialer, said()));
  REQUIRE_FALSE(is_proof(proof, {secret}, link_end::acceptor, said()));

  handshake_transcript other = said();
  other.dialer_hello = "hello of the diallerh";
  other.acceptor_hello.remove_prefix(1);
  REQUIRE_FALSE(is_proof(proof, {secret}, link_end::dialer, other));
  other = said();
  std::swap(other.dialer_hello, other.acceptor_hello);
  std::swap(other.dialer_nonce, other.acceptor_nonce);
  REQUIRE_FALSE(is_proof(proof, {secret}, link_end::dialer, other));
  for (std::size_t at = 0; at < other.dialer_nonce.size(); ++at) {
    other = said();
    other.dialer_nonce[at] ^= 1;
    REQUIRE_FALSE(is_proof(proof, {secret}, link_end::dialer, other));
    other = said();
    other.acceptor_nonce[at] ^= 1;
    REQUIRE_FALSE(is_proof(proof, {secret}, link_end::dialer, other));
  }
}

TEST_CASE("a proof that is cut, longer or changed is none") {
  const std::string proof = prove(secret, link_end::dialer, said());
  for (std::size_t at = 0; at < proof.size(); ++at) {
    REQUIRE_FALSE(is_proof(proof.substr(0, at), {secret}, link_end::dialer, said()));
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = proof;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      REQUIRE_FALSE(is_proof(changed, {secret}, link_end::dialer, said()));
    }
  }
  REQUIRE_FALSE(is_proof(proof + '\0', {secret}, link_end::dialer, said()));
}

TEST_CASE("a secret file: a secret a line, the first is the one that proves") {
  const std::string a(16, 'a'), b(256, 'b');
  REQUIRE(parse_secrets(a).all == secrets{a});
  REQUIRE(parse_secrets("# of May\n" + a + "\r\n\n" + b + "\n").all == secrets{a, b});
  const auto error = [](const std::string& text) { return parse_secrets(text).error; };
  REQUIRE(error("") == "it holds no secret (openssl rand -hex 32 makes one)");
  REQUIRE(error("# none\n\n") == error(""));
  REQUIRE(error(a + "\nshort\n") ==
          "line 2: a secret has 16..256 bytes (openssl rand -hex 32 makes one)");
  REQUIRE(error(b + "b") == "line 1: a secret has 16..256 bytes (openssl rand -hex 32 makes one)");
  REQUIRE(error(a + "\n" + a + "\n" + a + "\n" + a + "\n").empty());
  REQUIRE(error(a + "\n" + a + "\n" + a + "\n" + a + "\n" + a) == "line 5: more than 4 secrets");
}
