// Ties a row of the table of keys to its member of `options`: getter and setter without a line of
// code for each key. For the tables of schema.cc only.
#pragma once

#include <chrono>
#include <concepts>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "config/schema.h"

namespace tandem::config::binding {

using std::chrono::milliseconds;

inline value boxed(bool from) {
  return from;
}
inline value boxed(const std::string& from) {
  return from;
}
inline value boxed(const endpoint& from) {
  return from;
}
inline value boxed(const std::vector<std::string>& from) {
  return from;
}
inline value boxed(milliseconds from) {
  return std::int64_t{from.count()};
}
template <std::integral Integer>
value boxed(Integer from) {
  return static_cast<std::int64_t>(from);
}
// An enumeration is the place of its word among the key's choices.
template <class Enum>
requires std::is_enum_v<Enum> value boxed(Enum from) {
  return static_cast<std::int64_t>(from);
}
template <class T>
value boxed(const std::optional<T>& from) {
  return from ? boxed(*from) : value{};
}

inline void unbox(const value& from, bool& to) {
  to = std::get<bool>(from);
}
inline void unbox(const value& from, std::string& to) {
  to = std::get<std::string>(from);
}
inline void unbox(const value& from, endpoint& to) {
  to = std::get<endpoint>(from);
}
inline void unbox(const value& from, std::vector<std::string>& to) {
  to = std::get<std::vector<std::string>>(from);
}
inline void unbox(const value& from, milliseconds& to) {
  to = milliseconds(std::get<std::int64_t>(from));
}
template <std::integral Integer>
void unbox(const value& from, Integer& to) {
  to = static_cast<Integer>(std::get<std::int64_t>(from));
}
template <class Enum>
requires std::is_enum_v<Enum>
void unbox(const value& from, Enum& to) {
  to = static_cast<Enum>(std::get<std::int64_t>(from));
}
template <class T>
void unbox(const value& from, std::optional<T>& to) {
  if (std::holds_alternative<std::monostate>(from))
    to.reset();
  else
    unbox(from, to.emplace());
}

template <auto Section, auto Member>
constexpr key bind(key k) {
  k.get = [](const options& from) { return boxed(from.*Section.*Member); };
  k.set = [](options& to, const value& what) { unbox(what, to.*Section.*Member); };
  return k;
}

}  // namespace tandem::config::binding
