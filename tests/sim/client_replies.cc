#include "tests/sim/client_replies.h"

#include <array>
#include <string_view>
#include <utility>

#include "common/protocol/reply.h"

namespace tandem::sim {

void client_replies::add(const service::ack_ticket& ticket, instant now,
                         std::function<void()> promised) {
  expected_.push_back(std::move(promised));
  held_.begin(out_.end());
  out_.append(protocol::reply::stored);
  held_.notes().list.push_back(ticket);
  held_.finish(out_.end(), false, now);
}

bool client_replies::look(instant now) {
  woken_ = false;
  const bool waited = gate_.rule() == replication::reply_rule::when_confirmed;
  const bool late = held_.look(out_, now);
  for (std::size_t left = held_.sendable(out_); left != 0;) {
    std::array<std::string_view, 1> piece;
    out_.pieces(piece);
    const std::size_t n = std::min(left, piece[0].size());
    said_.append(piece[0], 0, n);
    out_.sent(n);
    left -= n;
  }
  std::size_t begin = 0;
  for (std::size_t end; (end = said_.find('\n', begin)) != std::string::npos; begin = end + 1)
    tell(said_.substr(begin, end + 1 - begin), waited);
  said_.erase(0, begin);
  if (!held_.empty() && gate_.wait(number_, held_.seen())) woken_ = true;
  return late;
}

bool client_replies::announce() {
  gate_.announce();
  return woken_;
}

void client_replies::tell(const std::string& line, bool waited) {
  const std::function<void()> promised = std::move(expected_.front());
  expected_.pop_front();
  if (waited && line == protocol::reply::stored) promised();
}

}  // namespace tandem::sim
