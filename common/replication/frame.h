// Frames of the peer link, little-endian:
//
//   offset 0   4  payload length in bytes
//          4   1  type
//          5   1  flags, 0 in this version
//          6   2  reserved, 0
//          8   8  sequence: 0, 1, 2 ... within a session and direction; a gap ends the session
//         16   4  CRC32C of the 16 bytes before and the payload
//         20      payload
//
// A reader is bounded: a length above its limit is refused before a byte of the payload is kept.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tandem::replication {

enum class frame_type : std::uint8_t {
  hello = 1,              // hello.h; the first frame of each side
  accept = 2,             // the peer's hello is agreed to: 8 bytes, the version to go on from or 0
  refuse = 3,             // a reason as text; the session ends
  ping = 4,               // 8 bytes, returned as they are by a pong
  pong = 5,               // these, and the answerer's wall clock in microseconds, 8 bytes
  records = 6,            // record_codec.h
  flush = 7,              // the flush_all register
  large = 8,              // a large value begins: its record without the value
  chunk = 9,              // the next bytes of the large value under way; empty: it is abandoned
  ack = 10,               // 8 bytes: every frame up to this sequence is applied
  in_sync = 11,           // all that was here at the session's start has been sent; empty
  inventory_please = 12,  // news of the sender's may be lost: tell what you hold, in `held` records
  challenge = 13,         // behind a hello that says so: 32 bytes that the peer's proof must cover
  proof = 14,             // secret.h; the dialler's first
  handover = 15,          // handover.h
  handover_answer = 16,
  forward = 17,         // a client's request for the master (forwards.h)
  forwarded = 18,       // its answer, behind what it has changed
  audit = 19,           // a question of the comparison of both nodes' data (audit_codec.h)
  audit_answer = 20,    // its answer
  compressed = 21,      // a frame of records or a chunk, made smaller (compression.h)
  inventory_told = 22,  // 4 bytes: how often that was done in this session, as it was asked
};
constexpr std::uint8_t frame_type_max = 22;

constexpr std::size_t frame_header_bytes = 20;
constexpr std::size_t frame_payload_max = std::size_t{1} << 20;
constexpr std::size_t handshake_payload_max = 4096;  // before the hello is agreed to

struct frame {
  frame_type type;
  std::uint64_t sequence;
  std::string_view payload;
};

// Appends a frame to `out`.
void append_frame(std::string& out, frame_type type, std::uint64_t sequence,
                  std::string_view payload);

// Builds frames from bytes as they come. The first error is final.
class frame_reader {
 public:
  enum class status : std::uint8_t { frame, need_more, error };

  // Adds received bytes. They are copied; what was parsed is forgotten at the next call.
  void feed(std::string_view bytes);
  // The next complete frame; `out.payload` is valid until the next feed().
  status next(frame& out);
  // Why next() said error, for the log and the refusal.
  const char* reason() const noexcept { return reason_; }
  // The largest payload that is taken from now on.
  void set_payload_max(std::size_t bytes) noexcept { payload_max_ = bytes; }
  std::size_t buffered_bytes() const noexcept { return buffer_.capacity(); }

 private:
  status fail(const char* reason) noexcept {
    reason_ = reason;
    return status::error;
  }

  std::string buffer_;
  std::size_t at_ = 0;  // parsed up to here
  std::size_t payload_max_ = handshake_payload_max;
  std::uint64_t next_sequence_ = 0;
  const char* reason_ = nullptr;
};

}  // namespace tandem::replication
