#include "common/replication/frame.h"

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/base/endian.h"

namespace tandem::replication {

namespace {
constexpr std::size_t crc_offset = 16;

std::uint32_t frame_crc(std::string_view header, std::string_view payload) {
  return crc32c(payload, crc32c(header.substr(0, crc_offset)));
}

// A record of a TLS handshake or an alert. As a hello's length it would be one of 789 bytes.
bool is_tls(std::string_view bytes) {
  return bytes.size() >= 2 && (bytes[0] == 0x15 || bytes[0] == 0x16) && bytes[1] == 3;
}

}  // namespace

void append_frame(std::string& out, frame_type type, std::uint64_t sequence,
                  std::string_view payload) {
  CHECK(payload.size() <= frame_payload_max);
  char header[frame_header_bytes] = {};
  store_le(header, static_cast<std::uint32_t>(payload.size()));
  header[4] = static_cast<char>(type);
  store_le(header + 8, sequence);
  store_le(header + crc_offset, frame_crc({header, sizeof header}, payload));
  out.append(header, sizeof header).append(payload);
}

void frame_reader::feed(std::string_view bytes) {
  buffer_.erase(0, at_);
  at_ = 0;
  if (reason_ == nullptr) buffer_.append(bytes);
}

frame_reader::status frame_reader::next(frame& out) {
  if (reason_ != nullptr) return status::error;
  const std::string_view rest = std::string_view(buffer_).substr(at_);
  if (next_sequence_ == 0 && is_tls(rest))
    return fail("it speaks TLS, this node does not (replication.tls_certificate)");
  if (rest.size() < frame_header_bytes) return status::need_more;
  const auto length = load_le<std::uint32_t>(rest.data());
  const auto type = static_cast<std::uint8_t>(rest[4]);
  if (length > payload_max_) return fail("frame too long");
  if (type == 0 || type > frame_type_max) return fail("unknown frame type");
  if (load_le<std::uint16_t>(rest.data() + 6) != 0 || rest[5] != 0)
    return fail("unknown frame flags");
  if (load_le<std::uint64_t>(rest.data() + 8) != next_sequence_)
    return fail("frame out of sequence");
  if (rest.size() < frame_header_bytes + length) return status::need_more;
  const std::string_view payload = rest.substr(frame_header_bytes, length);
  if (load_le<std::uint32_t>(rest.data() + crc_offset) != frame_crc(rest, payload))
    return fail("frame checksum mismatch");
  ++next_sequence_;
  at_ += frame_header_bytes + length;
  out = {static_cast<frame_type>(type), load_le<std::uint64_t>(rest.data() + 8), payload};
  return status::frame;
}

}  // namespace tandem::replication
