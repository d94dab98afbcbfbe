#include "tests/bench/trace.h"

#include <zstd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <unordered_map>

#include "common/base/endian.h"
#include "tests/bench/client.h"

namespace tandem::bench {

namespace {

constexpr std::size_t record_size = 24;
constexpr std::size_t id_at = 4, size_at = 12;

class collector {
 public:
  explicit collector(std::uint64_t limit) : limit_(limit) {}

  bool full() const { return limit_ != 0 && read_.requests.size() >= limit_; }

  // Takes the whole records of `bytes` and returns how many bytes that was.
  std::size_t take(const char* bytes, std::size_t size) {
    std::size_t at = 0;
    for (; size - at >= record_size && !full(); at += record_size) {
      const auto id = load_le<std::uint64_t>(bytes + at + id_at);
      const auto object_size = load_le<std::uint32_t>(bytes + at + size_at);
      const auto [found, fresh] =
          objects_.try_emplace(id, static_cast<std::uint32_t>(read_.ids.size()));
      if (fresh) read_.ids.push_back(id);
      read_.size_max = std::max(read_.size_max, object_size);
      read_.requests.push_back({found->second, object_size});
    }
    return at;
  }

  trace result() { return std::move(read_); }

 private:
  const std::uint64_t limit_;
  trace read_;
  std::unordered_map<std::uint64_t, std::uint32_t> objects_;
};

}  // namespace

trace read_trace(const std::string& path, std::uint64_t limit) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  if (!file) give_up_on(path);
  const std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(),
                                                                        ZSTD_freeDCtx);
  std::vector<char> packed(ZSTD_DStreamInSize());
  std::vector<char> plain(ZSTD_DStreamOutSize() + record_size);
  collector records(limit);
  std::size_t kept = 0;  // of a record that goes on in the next block
  std::size_t expected = 0;
  while (!records.full()) {
    const std::size_t got = std::fread(packed.data(), 1, packed.size(), file.get());
    if (got == 0) break;
    ZSTD_inBuffer in{packed.data(), got, 0};
    bool more = true;
    while (more && !records.full()) {
      ZSTD_outBuffer out{plain.data(), plain.size(), kept};
      expected = ZSTD_decompressStream(context.get(), &out, &in);
      if (ZSTD_isError(expected) != 0) give_up(path + ": " + ZSTD_getErrorName(expected));
      more = in.pos < in.size || out.pos == out.size;
      const std::size_t used = records.take(plain.data(), out.pos);
      kept = out.pos - used;
      std::memmove(plain.data(), plain.data() + used, kept);
    }
  }
  if (!records.full() && (expected != 0 || kept != 0)) give_up(path + ": the file is torn");
  trace read = records.result();
  if (read.requests.empty()) give_up(path + ": no request in it");
  return read;
}

}  // namespace tandem::bench
