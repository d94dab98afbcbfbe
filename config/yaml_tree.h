// A YAML document as a tree in which nothing is lost: duplicate keys stay, every node knows its
// place. yaml-cpp's own nodes drop both. One thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tandem::config {

// Counted from 1; the column in bytes, as editors and compilers have it.
struct position {
  std::size_t line = 1;
  std::size_t column = 1;
};

struct yaml_node {
  enum class shape { null, scalar, list, map };
  shape what = shape::null;
  position at;
  std::string text;                 // scalar
  std::vector<yaml_node> children;  // list: its items; map: key, value, key, value...
};

struct yaml_error {
  position at;
  std::string message;
};

// Either a tree (null for a document without content) or at least one error.
struct yaml_document {
  yaml_node root;
  std::vector<yaml_error> errors;
};

// Reads one document from memory. Refuses what a configuration has no use for and yaml-cpp treats
// with surprise: several documents, aliases, tags, quotations over several lines, tabs that indent,
// bytes that are no text, and texts above yaml_bytes_max. Throws nothing but bad_alloc.
yaml_document parse_yaml(std::string_view text);

inline constexpr std::size_t yaml_bytes_max = std::size_t{1} << 20;
inline constexpr std::size_t yaml_depth_max = 16;  // sections, keys, lists: three are in use

}  // namespace tandem::config
