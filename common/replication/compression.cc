#include "common/replication/compression.h"

#include <lz4.h>
#include <zstd.h>

#include <new>

#include "common/base/endian.h"

namespace tandem::replication {

namespace {
constexpr std::size_t compressed_head_bytes = 8;
constexpr std::size_t least_bytes = 512;  // smaller ones cost more than they save
constexpr unsigned skipped = 16;          // after one that did not shrink
constexpr int lz4_acceleration = 1;
constexpr int zstd_level = 1;  // the higher ones are slower than most links

bool compressible(frame_type type) {
  return type == frame_type::records || type == frame_type::chunk;
}
}  // namespace

struct compressor::contexts {
  std::unique_ptr<char[]> lz4;
  ZSTD_CCtx* zstd = nullptr;
  contexts() = default;
  contexts(const contexts&) = delete;
  contexts& operator=(const contexts&) = delete;
  ~contexts() { ZSTD_freeCCtx(zstd); }
};

compressor::compressor() = default;
compressor::~compressor() = default;

std::string_view compressor::shrink(frame_type type, std::string_view payload) {
  if (method_ == compression::none || payload.size() < least_bytes || !compressible(type))
    return {};
  if (skip_ > 0) {
    --skip_;
    return {};
  }
  if (!contexts_) contexts_ = std::make_unique<contexts>();
  const std::size_t most = payload.size() - payload.size() / 8;
  out_.resize(compressed_head_bytes + most);
  std::size_t size = 0;  // 0: it does not fit
  if (method_ == compression::lz4) {
    if (!contexts_->lz4)
      contexts_->lz4 = std::make_unique<char[]>(static_cast<std::size_t>(LZ4_sizeofState()));
    size = static_cast<std::size_t>(LZ4_compress_fast_extState(
        contexts_->lz4.get(), payload.data(), out_.data() + compressed_head_bytes,
        static_cast<int>(payload.size()), static_cast<int>(most), lz4_acceleration));
  } else {
    if (contexts_->zstd == nullptr) contexts_->zstd = ZSTD_createCCtx();
    if (contexts_->zstd == nullptr) throw std::bad_alloc();
    size = ZSTD_compressCCtx(contexts_->zstd, out_.data() + compressed_head_bytes, most,
                             payload.data(), payload.size(), zstd_level);
    if (ZSTD_isError(size) != 0) size = 0;
  }
  if (size == 0) {
    skip_ = skipped;
    return {};
  }
  out_[0] = static_cast<char>(method_);
  out_[1] = static_cast<char>(type);
  out_[2] = out_[3] = 0;
  store_le(out_.data() + 4, static_cast<std::uint32_t>(payload.size()));
  return {out_.data(), compressed_head_bytes + size};
}

struct expander::context {
  ZSTD_DCtx* zstd = ZSTD_createDCtx();
  context() = default;
  context(const context&) = delete;
  context& operator=(const context&) = delete;
  ~context() { ZSTD_freeDCtx(zstd); }
};

expander::expander() = default;
expander::~expander() = default;

std::optional<frame> expander::expand(const frame& f) {
  if (f.payload.size() <= compressed_head_bytes) return std::nullopt;
  const auto method = static_cast<compression>(f.payload[0]);
  const auto type = static_cast<frame_type>(f.payload[1]);
  const std::size_t size = load_le<std::uint32_t>(f.payload.data() + 4);
  if (!compressible(type) || size == 0 || size > frame_payload_max) return std::nullopt;
  const std::string_view packed = f.payload.substr(compressed_head_bytes);
  if (out_.size() < size) out_.resize(size);
  if (method == compression::lz4) {
    const int got = LZ4_decompress_safe(packed.data(), out_.data(), static_cast<int>(packed.size()),
                                        static_cast<int>(size));
    if (got < 0 || static_cast<std::size_t>(got) != size) return std::nullopt;
  } else if (method == compression::zstd) {
    if (!context_) context_ = std::make_unique<context>();
    if (context_->zstd == nullptr) throw std::bad_alloc();
    const std::size_t got =
        ZSTD_decompressDCtx(context_->zstd, out_.data(), size, packed.data(), packed.size());
    if (ZSTD_isError(got) != 0 || got != size) return std::nullopt;
  } else {
    return std::nullopt;
  }
  return frame{type, f.sequence, {out_.data(), size}};
}

}  // namespace tandem::replication
