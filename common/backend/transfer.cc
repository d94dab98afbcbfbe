#include "common/backend/transfer.h"

#include "common/protocol/base64.h"
#include "common/protocol/exptime.h"
#include "common/protocol/numbers.h"
#include "common/protocol/request.h"
#include "common/protocol/tokens.h"

namespace tandem::backend {

namespace {

void append_number(byte_buffer& out, std::string_view before, std::uint64_t value) {
  char digits[protocol::digits_max];
  const char* const end = protocol::write_number(digits, value);
  out.append(before);
  out.append({digits, static_cast<std::size_t>(end - digits)});
}

void append_name(byte_buffer& out, std::string_view verb, const item_name& name) {
  out.append(verb);
  if (!name.binary) return out.append(name.key);
  char room[protocol::base64_size(protocol::key_size_max)];
  const char* const end = protocol::write_base64(room, name.key);
  out.append({room, static_cast<std::size_t>(end - room)});
}

void end_line(byte_buffer& out, const item_name& name) {
  out.append(name.binary ? " b\r\n" : "\r\n");
}

// A moment says what is meant whenever it is read; memcached takes a number above 30 days for one.
void append_exptime(byte_buffer& out, std::uint32_t exptime, std::uint32_t now) {
  constexpr auto moments_above = static_cast<std::uint32_t>(protocol::relative_exptime_max);
  const bool moment = exptime == 0 || exptime > moments_above;
  const std::uint32_t left = exptime > now ? exptime - now : 1;
  append_number(out, " T", moment ? exptime : left);
}

}  // namespace

void write_fetch(byte_buffer& out, const item_name& name) {
  append_name(out, "mg ", name);
  out.append(" v f t c u");
  end_line(out, name);
}

std::optional<fetched_item> read_fetched(std::string_view reply) {
  const std::size_t line = reply.find("\r\n");
  if (!reply.starts_with("VA ") || line == std::string_view::npos) return std::nullopt;
  fetched_item item;
  protocol::token_cursor words(reply.substr(3, line - 3));
  (void)words.next();  // the size: the reply's own
  for (auto word = words.next(); !word.empty(); word = words.next()) {
    const std::string_view number = word.substr(1);
    switch (word.front()) {
      case 'f':
        item.flags = protocol::parse_strict<std::uint32_t>(number).value_or(0);
        break;
      case 't':
        if (number != "-1") item.ttl = protocol::parse_strict<std::uint32_t>(number).value_or(0);
        break;
      case 'c':
        item.cas = protocol::parse_strict<std::uint64_t>(number).value_or(0);
        break;
      default:
        break;
    }
  }
  item.value = reply.substr(line + 2, reply.size() - line - 4);
  return item;
}

void write_gets(byte_buffer& out, std::string_view key) {
  out.append("gets ");
  out.append(key);
  out.append("\r\n");
}

std::optional<fetched_item> read_gets(std::string_view reply) {
  constexpr std::string_view end = "\r\nEND\r\n";
  const std::size_t line = reply.find("\r\n");
  if (!reply.starts_with("VALUE ") || !reply.ends_with(end)) return std::nullopt;
  protocol::token_cursor words(reply.substr(6, line - 6));
  (void)words.next();  // the key
  fetched_item item;
  item.flags = protocol::parse_strict<std::uint32_t>(words.next()).value_or(0);
  (void)words.next();  // the size
  item.cas = protocol::parse_strict<std::uint64_t>(words.next()).value_or(0);
  item.value = reply.substr(line + 2, reply.size() - line - 2 - end.size());
  return item;
}

void write_item_line(byte_buffer& out, const item_head& item, std::uint32_t now) {
  append_name(out, "ms ", item.name);
  append_number(out, " ", item.value_size);
  append_exptime(out, item.exptime, now);
  append_number(out, " F", item.flags);
  if (item.cas) append_number(out, " E", *item.cas);
  out.append(" q");
  end_line(out, item.name);
}

void write_stale(byte_buffer& out, const item_head& item, std::uint32_t now) {
  append_name(out, "md ", item.name);
  out.append(" I");
  append_exptime(out, item.exptime, now);
  if (item.cas) append_number(out, " E", *item.cas);
  out.append(" q");
  end_line(out, item.name);
}

void write_win(byte_buffer& out, const item_name& name) {
  append_name(out, "mg ", name);
  out.append(" s q");
  end_line(out, name);
}

void write_remove(byte_buffer& out, const item_name& name) {
  append_name(out, "md ", name);
  out.append(" q");
  end_line(out, name);
}

}  // namespace tandem::backend
