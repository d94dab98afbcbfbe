#include "common/service/peer_requests.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "common/replication/forwards.h"
#include "common/service/connection.h"

namespace tandem::service {

namespace {

void take_replies(connection& from, std::string& to) {
  while (from.has_output()) {
    std::array<std::string_view, 16> pieces;
    const std::size_t count = from.output(pieces);
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < count; ++i) {
      bytes += pieces[i].size();
      if (to.size() <= replication::forward_bytes_max) to.append(pieces[i]);
    }
    from.sent(bytes);
  }
}

}  // namespace

peer_requests::result peer_requests::execute(std::string_view request, instant now) {
  connection_limits limits;
  limits.from_peer = true;
  connection each(data_, statistics_, host_, limits);
  result done;
  while (!request.empty() && !each.wants_close()) {
    const std::span<char> room = each.prepare();
    const std::size_t n = std::min(room.size(), request.size());
    std::memcpy(room.data(), request.data(), n);
    request.remove_prefix(n);
    each.received(n, now);
    take_replies(each, done.replies);
    while (each.has_more()) {
      each.resume(now);
      take_replies(each, done.replies);
    }
  }
  done.marks = std::move(each.changed());
  return done;
}

}  // namespace tandem::service
