#include "common/replication/hello.h"

#include <algorithm>

#include "common/base/endian.h"

namespace tandem::replication {

namespace {

constexpr std::string_view magic = "MTANDEM1";
constexpr std::size_t cluster_max = 64;

// Layout after the magic; all little-endian.
constexpr std::size_t fixed_bytes = 8 + 2 + 2 + 4 + 4 + 1 + 1 + 2 + 8 + 8 + 8 + 8 + 8 + 8;

enum : std::uint8_t {
  in_charge = 1,
  complete = 2,
  has_data = 4,
  node_id_fixed = 8,
  authenticates = 16,
  resumes = 128
};

template <class Integer>
void put(std::string& out, Integer value) {
  char bytes[sizeof value];
  store_le(bytes, value);
  out.append(bytes, sizeof bytes);
}

template <class Integer>
Integer take(std::string_view& from) {
  const auto value = load_le<Integer>(from.data());
  from.remove_prefix(sizeof value);
  return value;
}

}  // namespace

std::string encode(const hello& h) {
  std::string out(magic);
  put(out, h.protocol_min);
  put(out, h.protocol_max);
  put(out, h.features);
  put(out, h.features_required);
  put(out, static_cast<std::uint8_t>(
               (h.stands.in_charge ? in_charge : 0) | (h.stands.complete ? complete : 0) |
               (h.stands.has_data ? has_data : 0) | (h.node_id_fixed ? node_id_fixed : 0) |
               (h.authenticates ? authenticates : 0) | (h.resumes ? resumes : 0)));
  put(out, static_cast<std::uint8_t>(h.stands.node_id));
  put(out, static_cast<std::uint16_t>(h.cluster.size()));
  put(out, h.stands.term);
  put(out, h.stands.run_id);
  put(out, h.known_run_id);
  put(out, static_cast<std::int64_t>(h.clock.time_since_epoch().count()));
  put(out, h.highest.word());
  put(out, h.reign);
  out += h.cluster;
  return out;
}

std::optional<hello> decode_hello(std::string_view payload) {
  if (payload.size() < fixed_bytes || !payload.starts_with(magic)) return std::nullopt;
  payload.remove_prefix(magic.size());
  hello h;
  h.protocol_min = take<std::uint16_t>(payload);
  h.protocol_max = take<std::uint16_t>(payload);
  h.features = take<std::uint32_t>(payload);
  h.features_required = take<std::uint32_t>(payload);
  const auto bits = take<std::uint8_t>(payload);
  h.stands.in_charge = (bits & in_charge) != 0;
  h.stands.complete = (bits & complete) != 0;
  h.stands.has_data = (bits & has_data) != 0;
  h.node_id_fixed = (bits & node_id_fixed) != 0;
  h.authenticates = (bits & authenticates) != 0;
  h.resumes = (bits & resumes) != 0;
  h.stands.node_id = take<std::uint8_t>(payload);
  const auto cluster_size = take<std::uint16_t>(payload);
  h.stands.term = take<std::uint64_t>(payload);
  h.stands.run_id = take<std::uint64_t>(payload);
  h.known_run_id = take<std::uint64_t>(payload);
  h.clock = wall_time(wall_time::duration(take<std::int64_t>(payload)));
  h.highest = version(take<std::uint64_t>(payload));
  h.reign = take<std::uint64_t>(payload);
  if (cluster_size > cluster_max || payload.size() < cluster_size || h.stands.node_id > 7 ||
      h.stands.run_id == 0 || h.stands.term >> 62 != 0 || h.reign >> 62 != 0 ||
      !h.highest.plausible())
    return std::nullopt;
  h.cluster = payload.substr(0, cluster_size);
  return h;
}

std::string clocks_apart(std::uint64_t micros) {
  return "the clocks are " + std::to_string(micros / 1'000'000) +
         " s apart: set them right (NTP), or values would expire at the wrong time";
}

std::string incompatibility(const hello& mine, const hello& theirs) {
  if (theirs.protocol_min > mine.protocol_max || theirs.protocol_max < mine.protocol_min)
    return "no common protocol version: theirs " + std::to_string(theirs.protocol_min) + ".." +
           std::to_string(theirs.protocol_max) + ", ours " + std::to_string(mine.protocol_min) +
           ".." + std::to_string(mine.protocol_max);
  if (theirs.authenticates != mine.authenticates)
    return std::string("only one of the nodes has a shared secret (replication.secret_file): ") +
           (mine.authenticates ? "ours" : "theirs");
  return {};
}

std::string objection(const hello& mine, const hello& theirs, std::chrono::milliseconds skew_max) {
  if ((theirs.features_required & ~mine.features) != 0)
    return "a feature is required that is unknown here (bits " +
           std::to_string(theirs.features_required & ~mine.features) + ")";
  if (theirs.cluster != mine.cluster)
    return "another cluster: theirs '" + theirs.cluster + "', ours '" + mine.cluster + "'";
  if (theirs.node_id_fixed && mine.node_id_fixed && theirs.stands.node_id == mine.stands.node_id)
    return "both nodes are configured with node id " + std::to_string(mine.stands.node_id);
  // Unsigned, so that the extremes a forged clock may hold do not overflow.
  const auto a = static_cast<std::uint64_t>(mine.clock.time_since_epoch().count());
  const auto b = static_cast<std::uint64_t>(theirs.clock.time_since_epoch().count());
  const std::uint64_t apart = std::min(a - b, b - a);
  if (apart > static_cast<std::uint64_t>(std::chrono::microseconds(skew_max).count()))
    return clocks_apart(apart);
  return {};
}

}  // namespace tandem::replication
