// The lines by which memcached lists its items (lru_crawler metadump): from 1.6.18, whose dump has
// the items alone, to 1.6.45, whose begins with OK. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tandem::backend {

constexpr std::string_view metadump_request = "lru_crawler metadump hash\r\n";

struct dumped_item {
  std::string key;
  std::uint32_t exptime = 0;  // Unix seconds; 0: never
  std::uint64_t cas = 0;
  // It cannot stand in a command as it is.
  bool binary = false;
};

enum class dump_line : std::uint8_t {
  item,
  begin,
  end,
  later,      // another dump is under way, or the table grows
  malformed,  // or refused
};

// A key as memcached writes it in lines like these, percent-encoded. False: it is none.
bool decode_key(std::string_view text, std::string& key);

// `line` without its end. `item` is set where that is the answer.
dump_line read_dump_line(std::string_view line, dumped_item& item);

}  // namespace tandem::backend
