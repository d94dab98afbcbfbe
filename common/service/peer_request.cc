#include "common/service/peer_request.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "common/replication/forwards.h"

namespace tandem::service {

namespace {

connection_limits limits_of_peer() {
  connection_limits limits;
  limits.from_peer = true;
  return limits;
}

}  // namespace

peer_request::peer_request(store& data, worker_statistics& statistics, server& host)
    : executes_(data, statistics, host, limits_of_peer()) {}

void peer_request::start(std::string_view request, instant now) {
  while (!request.empty() && !executes_.wants_close()) {
    const std::span<char> room = executes_.prepare();
    const std::size_t n = std::min(room.size(), request.size());
    std::memcpy(room.data(), request.data(), n);
    request.remove_prefix(n);
    executes_.received(n, now);
    go_on(now);
  }
}

void peer_request::go_on(instant now) {
  take_replies();
  while (executes_.has_more()) {
    executes_.resume(now);
    take_replies();
  }
}

void peer_request::take_replies() {
  while (executes_.has_output()) {
    std::array<std::string_view, 16> pieces;
    const std::size_t count = executes_.output(pieces);
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < count; ++i) {
      bytes += pieces[i].size();
      if (replies_.size() <= replication::forward_bytes_max) replies_.append(pieces[i]);
    }
    executes_.sent(bytes);
  }
}

peer_request::result peer_request::take() {
  return {std::move(replies_), std::move(executes_.changed())};
}

peer_request::result execute_for_peer(store& data, worker_statistics& statistics, server& host,
                                      std::string_view request, instant now) {
  peer_request each(data, statistics, host);
  each.start(request, now);
  return each.take();
}

}  // namespace tandem::service
