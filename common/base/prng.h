// A small seeded generator for jitter, identities and simulation. Not for secrets.
#pragma once

#include <cstdint>

namespace tandem {

// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). One thread at a time.
class prng {
 public:
  explicit prng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // Uniform enough in [0, bound) for our uses; bound > 0.
  std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
  // True with probability per_mille / 1000.
  bool chance(unsigned per_mille) noexcept { return below(1000) < per_mille; }

 private:
  std::uint64_t state_;
};

}  // namespace tandem
