// The table of keys: what each YAML key is called, what it accepts, what it does and which option
// it sets. The YAML loader, the environment, the flags, --print-config and the sample file are all
// read from it, so that a key exists everywhere or nowhere. Immutable; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/options.h"

namespace tandem::config {

enum class kind {
  boolean,
  integer,
  octal,  // permission bits
  size,
  duration,
  string,
  choice,  // one of a few words
  address,
  addresses,
  listeners,  // addresses, each of which may say how TLS is done there
  program,    // a program's absolute path and its arguments
  words,      // texts without spaces and commas
};
constexpr bool is_list(kind type) {
  return type == kind::addresses || type == kind::listeners || type == kind::program ||
         type == kind::words;
}

// An option's value apart from its type; monostate: unset (optional keys only). Sizes are in bytes,
// durations in milliseconds, choices by their place.
using value = std::variant<std::monostate, bool, std::int64_t, std::string, endpoint,
                           std::vector<std::string>>;

struct key {
  std::string_view section = {};
  std::string_view name = {};
  kind type = kind::boolean;
  // Inclusive. Numbers: the value in its unit; strings: bytes; lists: entries.
  std::int64_t min = 0;
  std::int64_t max = 0;
  bool zero = false;              // 0 is allowed although below min
  std::string_view choices = {};  // "this|that", in the order of the option's enumeration
  bool optional = false;          // may be left unset
  std::string_view example = {};  // a value that is accepted, as text
  std::string_view description = {};
  value (*get)(const options&) = nullptr;
  // The value must have passed parse_value.
  void (*set)(options&, const value&) = nullptr;

  // "replication.peer"
  std::string path() const;
  // "MEMTANDEM_REPLICATION_PEER"
  std::string variable() const;
};

struct section {
  std::string_view name;
  std::string_view description;
};

// In the order of the sample file; a section's keys stand together.
std::span<const key> schema();
std::span<const section> sections();

// nullptr: no such key.
const key* find_key(std::string_view section_name, std::string_view name);
// For paths written in this program: CHECKs that the key exists.
const key& key_at(std::string_view path);
std::size_t index_of(const key& which);

// A text read as a value of the key, or what is wrong with it.
struct parsed {
  value result;
  std::string error;  // empty: result holds a value that may be set
};
parsed parse_value(const key& which, std::string_view text);
parsed parse_list(const key& which, std::vector<std::string> entries);

// "1..65535", "true or false"
std::string allowed(const key& which);
// "a whole number (allowed: 1..65535)"
std::string expected(const key& which);
// As YAML writes it: strings quoted, unset as null.
std::string to_yaml(const key& which, const value& what);
// `text` as a double-quoted YAML scalar.
std::string quoted(std::string_view text);

}  // namespace tandem::config
