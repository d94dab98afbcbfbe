// The rows of a `stats` answer: collected, then sent with the END.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "common/protocol/numbers.h"
#include "common/protocol/reply.h"
#include "common/service/output.h"
#include "common/service/server.h"

namespace tandem::service {

// Neither a name nor a value holds a space, a CR or a LF: scrapers split on them.
class stat_rows {
 public:
  void add(std::string_view name, std::string_view value) {
    text_.append("STAT ").append(name).append(" ").append(value).append(protocol::reply::crlf);
  }
  template <std::integral Integer>
  void add(std::string_view name, Integer value) {
    char digits[protocol::digits_max + 1];
    const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    add(name, std::string_view(digits, static_cast<std::size_t>(end - digits)));
  }
  void add_seconds(std::string_view name, double seconds) {
    char text[64];
    const int length = std::snprintf(text, sizeof text, "%.6f", seconds);
    add(name, std::string_view(text, static_cast<std::size_t>(length)));
  }
  void add(const std::vector<stat_row>& more) {
    for (const auto& [name, value] : more) add(name, value);
  }
  void send(output_queue& out) {
    text_.append(protocol::reply::end);
    out.append(text_);
  }

 private:
  std::string text_;
};

}  // namespace tandem::service
