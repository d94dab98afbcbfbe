// The replies of one machine's clients under replication.ack: the service's own bookkeeping, as a
// connection and its worker use it. A client that is told of its success may rely on it, unless
// the rule of the moment was that nothing is waited for.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <string>

#include "common/service/ack_gate.h"
#include "common/service/held_replies.h"
#include "common/service/output.h"

namespace tandem::sim {

class client_replies final : private service::ack_waker {
 public:
  client_replies(std::size_t shards, replication::ack_mode mode, std::chrono::milliseconds timeout)
      : gate_(shards, mode, timeout), held_(gate_), number_(gate_.subscribe(*this)) {}

  service::ack_gate& gate() noexcept { return gate_; }
  bool empty() const noexcept { return held_.empty(); }
  bool full() const noexcept { return held_.full(); }

  // A command has succeeded. `promised` is called when its client may rely on it, or never.
  void add(const service::ack_ticket& ticket, instant now, std::function<void()> promised);
  // Lets go of what may go. True: in semisync something is late.
  bool look(instant now);
  // After the link's step: true if there is something to look() for.
  bool announce();

 private:
  void confirmed() override { woken_ = true; }
  void tell(const std::string& line, bool waited);

  service::ack_gate gate_;
  service::held_replies held_;
  const std::size_t number_;
  service::output_queue out_;
  std::string said_;
  std::deque<std::function<void()>> expected_;  // one for each reply that has not been said
  bool woken_ = false;
};

}  // namespace tandem::sim
