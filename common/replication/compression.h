// Frames that travel compressed. A `compressed` frame stands for one of records or a chunk:
//
//   method 1 | type of the frame 1 | 0 2 | length of its payload 4 | the compressed payload
//
// Only what gets smaller by an eighth is sent so, and after some that did not, some are not tried.
// The receiver is bounded: it expands into a buffer of the largest payload and no further.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/replication/frame.h"

namespace tandem::replication {

enum class compression : std::uint8_t { none, lz4, zstd };

// The feature bit of a node that can expand it, for the hello.
constexpr std::uint32_t feature_of(compression method) {
  return method == compression::none ? 0 : 1U << (static_cast<unsigned>(method) - 1);
}
constexpr std::uint32_t features_of_compression =
    feature_of(compression::lz4) | feature_of(compression::zstd);

class compressor {
 public:
  compressor();
  ~compressor();
  compressor(const compressor&) = delete;
  compressor& operator=(const compressor&) = delete;

  // From now on; any memory it needs comes with the first frame.
  void use(compression method) noexcept { method_ = method; }
  // The payload of a compressed frame, valid until the next call; empty: send it as it is.
  std::string_view shrink(frame_type type, std::string_view payload);

 private:
  struct contexts;
  compression method_ = compression::none;
  std::unique_ptr<contexts> contexts_;
  std::string out_;
  unsigned skip_ = 0;  // frames not to be tried
};

class expander {
 public:
  expander();
  ~expander();
  expander(const expander&) = delete;
  expander& operator=(const expander&) = delete;

  // The frame that a compressed one stands for, valid until the next call; nothing if it is
  // malformed.
  std::optional<frame> expand(const frame& f);

 private:
  struct context;
  std::unique_ptr<context> context_;
  std::string out_;
};

}  // namespace tandem::replication
