// The moment at which the engine's tests begin, and those after it; keys by number.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "common/base/time.h"

namespace tandem::engine_test {

constexpr std::uint32_t noon_seconds = 1'800'000'000;
constexpr instant at(std::uint32_t seconds) {
  return {wall_time(std::chrono::seconds(noon_seconds + seconds)), {}};
}
constexpr instant noon = at(0);

inline std::string key_of(std::uint64_t n) {
  return "key" + std::to_string(n);
}

}  // namespace tandem::engine_test
