// The first frame of each side of a link: who I am, what I speak, how I stand. A hello starts with
// a magic and the protocol range, so that anything else that connects is recognised at once.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/time.h"
#include "common/base/version.h"
#include "common/replication/role.h"

namespace tandem::replication {

// Rises with every change by which an older one would read nonsense.
constexpr std::uint16_t protocol_version = 3;

// Knows of guests (node_options::guest); required: is one.
constexpr std::uint32_t feature_guests = 1U << 8;

struct hello {
  std::uint16_t protocol_min = protocol_version;
  std::uint16_t protocol_max = protocol_version;
  std::uint32_t features = 0;           // offered: what it can expand (compression.h)
  std::uint32_t features_required = 0;  // a peer that lacks one must refuse
  standing stands;                      // node id, run id, term, in charge, data
  // In charge: its term. Else the one in which it would reign if it went alone now.
  std::uint64_t reign = 0;
  // The run id of the process that the sender was last linked with; 0: none. It knows what that
  // has.
  std::uint64_t known_run_id = 0;
  bool resumes = false;        // its journals cover all that this process has not acknowledged
  bool node_id_fixed = false;  // configured: must not be changed to resolve a clash
  bool authenticates = false;  // has a shared secret: a challenge follows, and a proof is wanted
  wall_time clock{};
  version highest;  // none issued or seen at the sender is above it
  std::string cluster;
};

std::string encode(const hello& h);
// Nothing if the bytes are not a hello. Later versions may append fields: extra bytes are ignored.
std::optional<hello> decode_hello(std::string_view payload);

// Why clocks that are so many microseconds apart are not taken.
std::string clocks_apart(std::uint64_t micros);

// Why a peer with this hello cannot even be talked to: protocol versions, a secret on one side
// only. Empty: it can.
std::string incompatibility(const hello& mine, const hello& theirs);
// Why a peer with this hello, compatible and proven, cannot be linked with; empty: it can.
std::string objection(const hello& mine, const hello& theirs, std::chrono::milliseconds skew_max);

}  // namespace tandem::replication
