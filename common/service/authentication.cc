// The first stage of a connection that has to authenticate: memcached's "ASCII authentication". A
// `set` of any key whose value is "USER PASSWORD" opens the connection; nothing else is executed
// before, and no key is read or written by it.
#include <optional>

#include "common/protocol/numbers.h"
#include "common/protocol/tokens.h"
#include "common/service/connection_state.h"

namespace tandem::service {

namespace reply = protocol::reply;

namespace {

constexpr std::size_t login_bytes_max = 2048;
// No line with a `set` is shorter, its line feed left out; memcached closes on one.
constexpr std::size_t line_bytes_min = 6;
constexpr std::uint32_t token_bytes_max = 16384;

constexpr std::string_view unauthenticated = "CLIENT_ERROR unauthenticated\r\n";
constexpr std::string_view token_too_long = "CLIENT_ERROR auth token too long\r\n";
constexpr std::string_view bad_end = "CLIENT_ERROR bad command line termination\r\n";
constexpr std::string_view bad_token = "CLIENT_ERROR bad authentication token format\r\n";
constexpr std::string_view login_failed = "CLIENT_ERROR authentication failure\r\n";

// The length of the data block that `line` announces, if it is a `set`.
std::optional<std::uint32_t> announced(std::string_view line) {
  if (!line.starts_with("set")) return std::nullopt;
  protocol::token_cursor words(line);
  for (int skipped = 0; skipped < 4; ++skipped) words.next();
  return protocol::parse_strict<std::uint32_t>(words.next());
}

}  // namespace

// to_swallow: the size of the token's block, 0 while its line is awaited.
connection::state::progress connection::state::step_authentication() {
  if (to_swallow == 0) {
    // Too long is too long whether or not its end has arrived.
    const std::size_t end = in.view().substr(0, login_bytes_max + 1).find('\n');
    const bool whole = end != std::string_view::npos;
    if (!whole && in.size() <= login_bytes_max) return progress::waiting;
    if (!whole || end < line_bytes_min) {
      close();
      return progress::worked;
    }
    std::string_view line = in.view().substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto bytes = announced(line);
    in.consume(end + 1);
    if (!bytes)
      out.append(unauthenticated);
    else if (*bytes > token_bytes_max)
      out.append(token_too_long);
    else
      to_swallow = *bytes + reply::crlf.size();
    return progress::worked;
  }
  if (in.size() < to_swallow) return progress::waiting;
  out.append(check_token(in.view().substr(0, to_swallow)));
  in.consume(to_swallow);
  to_swallow = 0;
  return progress::worked;
}

// `block`: the token and two bytes more. Moves on if it is good; what to answer.
std::string_view connection::state::check_token(std::string_view block) {
  if (!block.ends_with(reply::crlf)) return bad_end;
  const std::string_view token = block.substr(0, block.size() - reply::crlf.size());
  const std::size_t space = token.find(' ');
  if (space == std::string_view::npos) return bad_token;
  counts.auth_cmds.add();
  if (!host.authenticate(token.substr(0, space), token.substr(space + 1))) {
    counts.auth_errors.add();
    return login_failed;
  }
  at = stage::line;
  return reply::stored;
}

}  // namespace tandem::service
