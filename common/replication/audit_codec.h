// What nodes ask and answer when they compare their data. Little-endian; a head and, by its kind, a
// body:
//
//   kind 1 | bits 1 | flags 1 | 0 1 | count 4 | first 8 | cutoff 8 | expiry 4 | 0 4
//
//   begin    ask: cutoff = the highest version seen there; answer: the cutoff for this audit, once
//            all that is older has been sent and acknowledged
//   digests  of `count` buckets from `first` on, 2^bits in all; answer: for each sum 8, items 4
//   keys     of bucket `first`; answer: for each item digest 8, changed 8, key length 1, key
//   check    ask: items as above, digest 0 for what is not held; answer: a verdict 1 for each
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/version.h"

namespace tandem::replication {

enum class audit_kind : std::uint8_t { begin = 1, digests, keys, check };

struct audit_head {
  static constexpr std::uint8_t repair = 1;     // of a check: send again what differs
  static constexpr std::uint8_t cut_short = 2;  // of an answer: there was more than fits

  audit_kind kind = audit_kind::begin;
  unsigned bits = 0;  // 0..audit_bits_max
  std::uint8_t flags = 0;
  std::uint32_t count = 0;
  std::uint64_t first = 0;
  version cutoff;                  // later changes are left out
  std::uint32_t expiry_after = 0;  // Unix seconds: what expires by then is left out
};

constexpr unsigned audit_bits_max = 40;
constexpr std::uint32_t audit_buckets_max = 16;                 // of one question
constexpr std::size_t audit_body_max = std::size_t{512} << 10;  // bytes

struct audit_digest {
  std::uint64_t sum = 0;  // of the items' digests
  std::uint32_t items = 0;
  friend bool operator==(const audit_digest&, const audit_digest&) = default;
};

struct audit_item {
  std::uint64_t digest = 0;  // 0: not held
  version changed;
  std::string_view key;
};

enum class audit_verdict : std::uint8_t {
  same,     // or on the move: changed after the cutoff
  dropped,  // one side has it no more, by eviction, expiry or refusal
  differs,
};

std::string encode(const audit_head& head);
void append(std::string& out, const audit_digest& digest);
void append(std::string& out, const audit_item& item);

// Take a part off the front; nothing if it is malformed.
std::optional<audit_head> take_audit_head(std::string_view& from);
std::optional<audit_digest> take_audit_digest(std::string_view& from);
std::optional<audit_item> take_audit_item(std::string_view& from);

}  // namespace tandem::replication
