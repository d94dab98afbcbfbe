// memtandemctl bench: a load generator for a node's client port. Each connection sends a batch of
// requests, waits for all its replies, checks them and sends the next.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace tandem::ctl {

struct bench_options {
  std::string server = "127.0.0.1:11211";
  unsigned connections = 50;  // 1..10000
  unsigned pipeline = 1;      // requests of a batch, 1..1000
  double reads = 0.9;         // share of gets, the rest are sets
  std::uint64_t keys = 100000;
  unsigned size_min = 100, size_max = 100;  // of values, in bytes; a key's is always the same
  double zipf = 0.99;                       // 0: every key as often; below 1 or above, not 1 itself
  double seconds = 10;
  bool fill = false;    // sets every key once before
  bool verify = false;  // looks at every byte of every value
  std::uint64_t seed = 1;
};

// no: a reply was wrong, or a connection broke.
int run_bench(const bench_options& how);

// Latencies in buckets of 1/32 of a power of two: percentiles are right to about 3 %.
class latency_buckets {
 public:
  void add(std::uint64_t nanoseconds) noexcept;
  // Of a share of all, in nanoseconds; 0 if there are none.
  std::uint64_t percentile(double share) const noexcept;
  std::uint64_t count() const noexcept { return count_; }

 private:
  static constexpr unsigned sub_bits = 5;
  static std::size_t bucket_of(std::uint64_t value) noexcept;
  static std::uint64_t middle_of(std::size_t bucket) noexcept;
  std::array<std::uint64_t, (64 - sub_bits + 1) << sub_bits> buckets_{};
  std::uint64_t count_ = 0;
};

// Ranks 0..n-1 with probability proportional to 1/(rank+1)^s, by rejection-inversion (Hoermann and
// Derflinger, 1996): no table, whatever n is.
class zipf_ranks {
 public:
  zipf_ranks(std::uint64_t n, double s);  // s: 0 for uniform; not 1
  // `unit`: uniform in [0, 1); called until it gives a rank that is accepted.
  template <class Unit>
  std::uint64_t next(Unit unit) const {
    if (s_ == 0) return static_cast<std::uint64_t>(unit() * static_cast<double>(n_));
    for (;;) {
      std::uint64_t rank = 0;
      if (accept(unit(), rank)) return rank;
    }
  }

 private:
  bool accept(double u, std::uint64_t& rank) const noexcept;
  double integral(double x) const noexcept;
  double inverse(double x) const noexcept;

  std::uint64_t n_;
  double s_;
  double low_ = 0, high_ = 0, cut_ = 0;
};

// The value of a key, from its number: what is read can be checked without remembering it.
void append_value(std::string& to, std::uint64_t key, unsigned size);
unsigned value_size(const bench_options& how, std::uint64_t key) noexcept;

}  // namespace tandem::ctl
