// The requests of one connection that a backend executes (backend/lane.h), in the order in which
// the client is to get their replies, whatever the order in which they come. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "common/backend/lane.h"
#include "common/service/held_replies.h"
#include "common/service/output.h"

namespace tandem::service {

class relay {
 public:
  // So many requests of a connection are under way; what is behind them waits.
  static constexpr std::size_t requests_max = 128;
  // So many bytes of them, if there are several.
  static constexpr std::size_t bytes_max = std::size_t{1} << 20;

  relay(backend::lanes& lanes, backend::reply_sink& sink, std::uint16_t home)
      : lanes_(lanes), sink_(sink), home_(home) {}

  backend::lanes& lanes() noexcept { return lanes_; }
  bool idle() const noexcept { return slots_.empty(); }
  bool full() const noexcept { return slots_.size() >= requests_max || bytes_ >= bytes_max; }

  // Nothing more is executed before all that is under way is answered.
  void wait_until_idle() noexcept { waits_ = !idle(); }
  bool waits() const noexcept { return waits_; }

  // Whether some of the requests that came together are unanswered. Once none is, those that are
  // under way now came together.
  bool gathers() noexcept {
    if (static_cast<std::int32_t>(together_ - first_) > 0) return true;
    together_ = first_ + static_cast<std::uint32_t>(slots_.size());
    return false;
  }

  // A place for the next reply; what is to be given to the lane. `part`: of a retrieval, with more
  // of it to come. `bytes`: of the request.
  backend::expected place(bool part, std::size_t bytes = 0);
  // The reply to it: what the client gets of it goes out with all that stood behind it only.
  struct result {
    std::string_view bytes;
    bool failed = false;
    const ack_ticket* ticket = nullptr;  // null: it waits for nothing more
    std::string_view end = {};           // stands behind the bytes
  };
  // `held`: with a result that has a ticket.
  void answer(std::uint32_t number, const result& what, output_queue& out,
              held_replies* held = nullptr, instant now = {});

 private:
  struct slot {
    bool part = false;
    bool answered = false;
    bool failed = false;
    std::size_t sent = 0;  // bytes of the request, until its reply comes
    std::string bytes;     // of a reply that came before its turn
    std::optional<ack_ticket> ticket = {};
  };
  void send(const slot& s, const result& what, output_queue& out, held_replies* held, instant now);

  backend::lanes& lanes_;
  backend::reply_sink& sink_;
  const std::uint16_t home_;
  std::deque<slot> slots_;
  std::uint32_t first_ = 0;     // the number of the oldest
  std::uint32_t together_ = 0;  // the number behind the last of those that came together
  std::size_t bytes_ = 0;       // of requests under way, and of replies that wait for their turn
  bool waits_ = false;
  bool broken_ = false;  // a part of the retrieval that is being answered has failed
};

}  // namespace tandem::service
