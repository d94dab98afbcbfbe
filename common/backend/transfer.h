// Items on their way from one backend to another: the requests that read one whole, write one as it
// was, and take one away. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/backend/reply.h"
#include "common/backend/request.h"
#include "common/base/byte_buffer.h"

namespace tandem::backend {

// How an item is named: a binary key is written in base64.
struct item_name {
  std::string_view key;
  bool binary = false;
};

// Reads the item without counting as an access; the reply's shape is `meta`.
void write_fetch(byte_buffer& out, const item_name& name);
// What came; its value lies in the reply.
struct fetched_item {
  std::uint32_t flags = 0;
  std::optional<std::uint32_t> ttl;  // seconds left; none: it does not expire
  std::uint64_t cas = 0;
  std::string_view value;
};
// Nothing: it is not there, or cannot be told.
std::optional<fetched_item> read_fetched(std::string_view reply);
// The same by `gets`, which tells no ttl and leaves a stale item alone; the shape is `values`.
void write_gets(byte_buffer& out, std::string_view key);
std::optional<fetched_item> read_gets(std::string_view reply);

// An item as it is to be.
struct item_head {
  item_name name;
  std::uint32_t flags = 0;
  std::uint32_t exptime = 0;  // Unix seconds by the backend's clock; 0: never
  std::size_t value_size = 0;
  unique cas;  // only where the backend takes one
};
// What follows is answered by a line, and only where it fails or finds what it does not look for.

// The line before the value; the caller appends that, and CR LF. `now`: by the backend's clock.
void write_item_line(byte_buffer& out, const item_head& item, std::uint32_t now);
// Makes an item that was just written stale, for one client to be told so.
void write_stale(byte_buffer& out, const item_head& item, std::uint32_t now);
// Takes the telling off: one client was told.
void write_win(byte_buffer& out, const item_name& name);
void write_remove(byte_buffer& out, const item_name& name);

}  // namespace tandem::backend
