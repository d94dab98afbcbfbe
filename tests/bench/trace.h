// Cache traces: zstd; packed little-endian records of 24 bytes: u32 time, u64 id, u32 size,
// i64 next access (unused). `size` is key + value; keys are 20 bytes. A trace is kept in memory
// with its ids numbered by first appearance.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tandem::bench {

struct trace_request {
  std::uint32_t object;  // index into trace::ids
  std::uint32_t size;    // of key and value
};

struct trace {
  std::vector<trace_request> requests;
  std::vector<std::uint64_t> ids;  // by object
  std::uint32_t size_max = 0;      // the largest size
};

// The first `limit` requests of the file (0: all). A file that cannot be read, is torn or is empty
// ends the tool.
trace read_trace(const std::string& path, std::uint64_t limit);

// The value's part of a size; memcached stores empty values too, but every trace has at least 1.
constexpr std::uint32_t value_size_of(std::uint32_t size) {
  constexpr std::uint32_t key = 20;
  return size > key ? size - key : 1;
}

}  // namespace tandem::bench
