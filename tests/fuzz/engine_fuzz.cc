// The shard against its model (tests/unit/engine_model.h). The input's first byte chooses the
// limits; every choice after that takes one byte, and sizes and such a mix of it with its place.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/unit/engine_model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tandem::engine;
  if (size == 0) return 0;
  const std::uint8_t kind = data[0];
  model_options options{.limits = {.memory_bytes = std::size_t{1} << 20,
                                   .item_size_max = 280 * 1024,
                                   .tombstone_percent = kind & 2U ? 1U : 100U,
                                   .evict = (kind & 1U) == 0},
                        .keys = 64};
  if (kind & 4U) {
    options.limits.memory_bytes <<= 10;
    options.limits.tombstone_percent = 100;
    options.never_full = true;
  }
  std::size_t at = 1;
  // The low bits, which choose among few, are the byte's own, so that a mutation stays local.
  const auto choose = [&]() -> std::uint64_t {
    const std::uint64_t byte = at < size ? data[at] : 0;
    ++at;
    return byte | (byte + at) * 0x9e3779b97f4a7c15ULL << 8;
  };
  engine_model model(options, choose);
  bool right = true;
  while (right && at < size) right = model.step();
  if (right) right = model.check_all();
  if (!right) {
    std::fprintf(stderr, "at byte %zu: %s\n", at, model.complaint().c_str());
    std::abort();
  }
  return 0;
}
