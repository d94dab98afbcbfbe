// The command words of the text protocol.
#pragma once

#include <cstdint>
#include <string_view>

namespace tandem::protocol {

enum class verb : std::uint8_t {
  unknown,
  get,
  gets,
  gat,
  gats,
  set,
  add,
  replace,
  append,
  prepend,
  cas,
  remove,  // "delete"
  incr,
  decr,
  touch,
  flush_all,
  verbosity,
  version,
  stats,
  quit,
  shutdown,
  cache_memlimit,
  meta_get,         // "mg"
  meta_set,         // "ms"
  meta_delete,      // "md"
  meta_arithmetic,  // "ma"
  meta_noop,        // "mn"
  meta_debug,       // "me"
  refresh_certs,
  watch,
  lru_crawler,
  lru,
  slabs,
};

namespace detail {

// Up to eight characters as one number, so that one switch finds a word.
constexpr std::uint64_t pack(std::string_view word) noexcept {
  std::uint64_t packed = 0;
  for (const char c : word) packed = packed << 8 | static_cast<unsigned char>(c);
  return packed;
}

}  // namespace detail

// Exact and case-sensitive.
constexpr verb find_verb(std::string_view word) noexcept {
  using detail::pack;
  if (word.size() > 8) {
    if (word == "flush_all") return verb::flush_all;
    if (word == "verbosity") return verb::verbosity;
    if (word == "cache_memlimit") return verb::cache_memlimit;
    if (word == "refresh_certs") return verb::refresh_certs;
    if (word == "lru_crawler") return verb::lru_crawler;
    return verb::unknown;
  }
  // A word that begins with a NUL packs like the word without it.
  if (word.empty() || word.front() == '\0') return verb::unknown;
  switch (pack(word)) {
    case pack("get"):
      return verb::get;
    case pack("mg"):
      return verb::meta_get;
    case pack("ms"):
      return verb::meta_set;
    case pack("md"):
      return verb::meta_delete;
    case pack("ma"):
      return verb::meta_arithmetic;
    case pack("mn"):
      return verb::meta_noop;
    case pack("me"):
      return verb::meta_debug;
    case pack("gets"):
      return verb::gets;
    case pack("gat"):
      return verb::gat;
    case pack("gats"):
      return verb::gats;
    case pack("set"):
      return verb::set;
    case pack("add"):
      return verb::add;
    case pack("replace"):
      return verb::replace;
    case pack("append"):
      return verb::append;
    case pack("prepend"):
      return verb::prepend;
    case pack("cas"):
      return verb::cas;
    case pack("delete"):
      return verb::remove;
    case pack("incr"):
      return verb::incr;
    case pack("decr"):
      return verb::decr;
    case pack("touch"):
      return verb::touch;
    case pack("version"):
      return verb::version;
    case pack("stats"):
      return verb::stats;
    case pack("quit"):
      return verb::quit;
    case pack("shutdown"):
      return verb::shutdown;
    case pack("watch"):
      return verb::watch;
    case pack("lru"):
      return verb::lru;
    case pack("slabs"):
      return verb::slabs;
    default:
      return verb::unknown;
  }
}

// The word of a command on data; of others nothing.
constexpr std::string_view word_of(verb what) noexcept {
  switch (what) {
    case verb::get:
      return "get";
    case verb::gets:
      return "gets";
    case verb::gat:
      return "gat";
    case verb::gats:
      return "gats";
    case verb::set:
      return "set";
    case verb::add:
      return "add";
    case verb::replace:
      return "replace";
    case verb::append:
      return "append";
    case verb::prepend:
      return "prepend";
    case verb::cas:
      return "cas";
    case verb::remove:
      return "delete";
    case verb::incr:
      return "incr";
    case verb::decr:
      return "decr";
    case verb::touch:
      return "touch";
    case verb::flush_all:
      return "flush_all";
    case verb::meta_get:
      return "mg";
    case verb::meta_set:
      return "ms";
    case verb::meta_delete:
      return "md";
    case verb::meta_arithmetic:
      return "ma";
    case verb::meta_debug:
      return "me";
    default:
      return {};
  }
}

// Those that ask for the values of any number of keys.
constexpr bool asks_for_keys(verb what) noexcept {
  return what == verb::get || what == verb::gets || what == verb::gat || what == verb::gats;
}

}  // namespace tandem::protocol
