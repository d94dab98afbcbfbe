// The arithmetic of the load generator: percentiles, ranks and contents.
#include <algorithm>
#include <bit>
#include <cmath>

#include "proxy/ctl/bench.h"

namespace tandem::ctl {

namespace {

// splitmix64's finalizer.
std::uint64_t mix(std::uint64_t x) noexcept {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

}  // namespace

std::size_t latency_buckets::bucket_of(std::uint64_t value) noexcept {
  if (value < (1U << sub_bits)) return value;
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - 1 - sub_bits;
  return (std::size_t{shift + 1} << sub_bits) + ((value >> shift) & ((1U << sub_bits) - 1));
}

std::uint64_t latency_buckets::middle_of(std::size_t bucket) noexcept {
  if (bucket < (1U << sub_bits)) return bucket;
  const std::size_t shift = (bucket >> sub_bits) - 1;
  const std::uint64_t low = ((bucket & ((1U << sub_bits) - 1)) | (1U << sub_bits));
  return (low << shift) + ((std::uint64_t{1} << shift) >> 1);
}

void latency_buckets::add(std::uint64_t nanoseconds) noexcept {
  ++buckets_[bucket_of(nanoseconds)];
  ++count_;
}

std::uint64_t latency_buckets::percentile(double share) const noexcept {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    so_far += buckets_[i];
    if (so_far >= wanted && so_far > 0) return middle_of(i);
  }
  return 0;
}

zipf_ranks::zipf_ranks(std::uint64_t n, double s) : n_(std::max<std::uint64_t>(n, 1)), s_(s) {
  if (s_ == 0) return;
  low_ = integral(1.5) - 1;
  high_ = integral(static_cast<double>(n_) + 0.5);
  cut_ = 2 - inverse(integral(2.5) - std::pow(2, -s_));
}

// Of x^-s.
double zipf_ranks::integral(double x) const noexcept {
  return (std::pow(x, 1 - s_) - 1) / (1 - s_);
}

double zipf_ranks::inverse(double x) const noexcept {
  return std::pow(1 + x * (1 - s_), 1 / (1 - s_));
}

bool zipf_ranks::accept(double u, std::uint64_t& rank) const noexcept {
  const double area = high_ + u * (low_ - high_);
  const double x = inverse(area);
  const double k = std::clamp(std::floor(x + 0.5), 1.0, static_cast<double>(n_));
  rank = static_cast<std::uint64_t>(k) - 1;
  return k - x <= cut_ || area >= integral(k + 0.5) - std::pow(k, -s_);
}

unsigned value_size(const bench_options& how, std::uint64_t key) noexcept {
  return how.size_min + static_cast<unsigned>(mix(key) % (how.size_max - how.size_min + 1U));
}

void append_value(std::string& to, std::uint64_t key, unsigned size) {
  std::uint64_t word = mix(key + 0x9e3779b97f4a7c15U);
  for (unsigned i = 0; i < size; ++i) {
    if (i % 8 == 0 && i != 0) word = mix(word);
    to.push_back(static_cast<char>('a' + ((word >> (8 * (i % 8))) & 0xff) % 26));
  }
}

}  // namespace tandem::ctl
