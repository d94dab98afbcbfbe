#include "tests/sim/ack_withholder.h"

#include <string_view>

#include "common/base/endian.h"
#include "common/replication/frame.h"

namespace tandem::sim {

using replication::frame_header_bytes;
using replication::frame_type;

namespace {
constexpr std::size_t ack_bytes = 8;  // the payload of a ping, a pong and an acknowledgement
}

void ack_withholder::pass(std::string& frames, bool withholding) {
  for (std::size_t at = 0; at + frame_header_bytes <= frames.size();) {
    const auto payload_bytes = load_le<std::uint32_t>(frames.data() + at);
    const std::size_t frame_bytes = frame_header_bytes + payload_bytes;
    const auto type = static_cast<frame_type>(frames[at + 4]);
    std::string payload = frames.substr(at + frame_header_bytes, ack_bytes);
    std::optional<frame_type> becomes;
    if (type == frame_type::ack && withholding) {
      held_ = payload;
      becomes = frame_type::pong;
    } else if (type == frame_type::ack) {
      held_.reset();  // it speaks for all before it
    } else if (type == frame_type::pong && held_ && !withholding) {
      payload = *held_;
      held_.reset();
      becomes = frame_type::ack;
    }
    if (becomes) {
      std::string changed;
      append_frame(changed, *becomes, load_le<std::uint64_t>(frames.data() + at + 8), payload);
      frames.replace(at, frame_bytes, changed);
    }
    at += frame_bytes;
  }
}

}  // namespace tandem::sim
