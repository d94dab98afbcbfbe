// The messages of handover.h as bytes: a step, a term, and a reason as text.
#include "common/base/endian.h"
#include "common/replication/handover.h"

namespace tandem::replication {

namespace {
constexpr std::size_t reason_bytes_max = 200;
constexpr std::size_t step_head_bytes = 1 + sizeof(std::uint64_t);
}  // namespace

std::string encode(const handover_message& m) {
  char head[step_head_bytes];
  head[0] = static_cast<char>(m.step);
  store_le(head + 1, m.term);
  return std::string(head, sizeof head) + m.reason.substr(0, reason_bytes_max);
}

std::optional<handover_message> decode_handover(std::string_view payload) {
  if (payload.size() < step_head_bytes || payload.size() > step_head_bytes + reason_bytes_max)
    return std::nullopt;
  const auto step = static_cast<std::uint8_t>(payload[0]);
  if (step < static_cast<std::uint8_t>(handover_step::ask) ||
      step > static_cast<std::uint8_t>(handover_step::refused))
    return std::nullopt;
  if (load_le<std::uint64_t>(payload.data() + 1) >> 62 != 0)
    return std::nullopt;  // none goes so far
  handover_message m{static_cast<handover_step>(step), load_le<std::uint64_t>(payload.data() + 1),
                     std::string(payload.substr(step_head_bytes))};
  for (char& c : m.reason)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return m;
}

}  // namespace tandem::replication
