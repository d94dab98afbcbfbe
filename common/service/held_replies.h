// The replies of a connection that wait until the peer has what they tell of (replication.ack).
// Commands are executed and their replies queued as ever; this knows which bytes of the output may
// not go out yet, and turns a reply that waited in vain into an error, wherever it stands.
//
// A quiet meta command that would be silent holds a place too: what comes behind it must not go out
// before the error that may have to stand there. noreply commands hold nothing.
//
// Bounded: full() stops the connection from executing more. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/base/time.h"
#include "common/service/ack_gate.h"
#include "common/service/output.h"

namespace tandem::service {

// What a connection's commands have journaled since somebody last looked.
struct ack_tickets {
  std::vector<ack_ticket> list;
  bool all = false;  // those of noreply commands too
};

class held_replies {
 public:
  explicit held_replies(ack_gate& gate) : gate_(gate) {}

  // --- around each step of the connection ------------------------------------------------------
  // Commands put their tickets here.
  ack_tickets& notes() noexcept { return notes_; }
  // What the step adds to the output comes behind `end`, the output's end.
  void begin(std::uint64_t end) noexcept { step_begin_ = end; }
  // The step's output ends at `end`. `goes_on`: the next step belongs to the same reply.
  void finish(std::uint64_t end, bool goes_on, instant now);

  // --- after them, and whenever the gate has changed or time has passed ------------------------
  // Lets go of what is confirmed and makes errors of what is late. True: in semisync something is
  // late, and the rule has to change for it to go on.
  bool look(output_queue& out, instant now);

  bool empty() const noexcept { return first_ == held_.size(); }
  bool full() const noexcept { return held_.size() - first_ >= held_max; }
  // How many of the output's bytes may go out.
  std::size_t sendable(const output_queue& out) const noexcept {
    return empty() ? out.size() : static_cast<std::size_t>(held_[first_].begin - out.begin());
  }
  // ack_gate::changes() at the last look().
  std::uint64_t seen() const noexcept { return seen_; }
  // True once after an error took the place of a reply that was still being made: the rest of its
  // command is void.
  bool abandoned() noexcept;

 private:
  static constexpr std::size_t held_max = 1024;

  // A reply and one thing it waits for.
  struct held {
    std::uint64_t begin, end;  // in the output; the same in all of one reply
    ack_ticket ticket;
    steady_time deadline;
    bool joined;  // to the one before: of the same reply
  };

  std::size_t last_reply() const noexcept;
  void hold(std::size_t reply, const ack_ticket& ticket, const held& like);
  void release_confirmed();
  void fail_late(output_queue& out, steady_time late_at);
  void drop_first();

  ack_gate& gate_;
  ack_tickets notes_;
  std::vector<held> held_;  // from first_ on
  std::size_t first_ = 0;
  std::uint64_t step_begin_ = 0;
  std::uint64_t seen_ = 0;
  bool open_ = false;  // the last reply goes on
  bool abandoned_ = false;
};

}  // namespace tandem::service
