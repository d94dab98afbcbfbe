// What the peer has confirmed of this node's mutations, and the rule for replies that wait for it
// (replication.ack). The link's side advances it; workers look at it and are woken, once each,
// whatever the number of connections that wait.
//
// A mutation's ticket is the end of its shard's journal behind it. The peer has a mutation if it
// acknowledged the journal up to there; after a scan has begun, what the journal had before is only
// there when the scan is done. flush_all has no journal: its slot counts states of the register.
//
// Threads: confirm(), begin_scan(), set_rule() and announce() in the link's, the rest in any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "common/replication/acks.h"
#include "common/replication/routing.h"

namespace tandem::service {

// What has to be confirmed before a mutation is known to be on both nodes.
using ack_ticket = replication::mutation_mark;

// Told that something was confirmed or the rule has changed. In the link's thread.
class ack_waker {
 public:
  virtual void confirmed() = 0;

 protected:
  ~ack_waker() = default;
};

class ack_gate {
 public:
  ack_gate(std::size_t shards, replication::ack_mode mode, std::chrono::milliseconds timeout)
      : mode_(mode), timeout_(timeout), slots_(shards + 1) {}

  std::size_t flush_slot() const noexcept { return slots_.size() - 1; }
  replication::ack_mode mode() const noexcept { return mode_; }
  // How long a reply waits at the most.
  std::chrono::milliseconds timeout() const noexcept { return timeout_; }

  // --- the link's side -----------------------------------------------------------------------
  // The peer has everything of the slot before `upto`; `all_older`: and what was there before a
  // scan began. Without that nothing from before begin_scan() counts.
  void confirm(std::size_t slot, replication::journal::position upto, bool all_older) noexcept {
    slot_state& s = slots_[slot];
    if (all_older && s.scan_from.load(std::memory_order_relaxed) != 0) {
      s.scan_from.store(0, std::memory_order_release);
      moved_ = true;
    }
    if (upto <= s.confirmed.load(std::memory_order_relaxed)) return;
    s.confirmed.store(upto, std::memory_order_release);
    moved_ = true;
  }
  void begin_scan(std::size_t slot, replication::journal::position end) noexcept {
    slots_[slot].scan_from.store(end, std::memory_order_release);
  }
  void set_rule(replication::reply_rule rule) noexcept {
    rule_.store(rule, std::memory_order_release);
    moved_ = true;
  }
  // Wakes those who wait, if anything has changed since the last call.
  void announce();

  // --- those who wait ------------------------------------------------------------------------
  bool confirmed(const ack_ticket& t) const noexcept {
    const slot_state& s = slots_[t.slot];
    // In this order: a position confirmed in a session is seen with what that session began with.
    return t.position <= s.confirmed.load(std::memory_order_acquire) &&
           t.position > s.scan_from.load(std::memory_order_acquire);
  }
  replication::reply_rule rule() const noexcept { return rule_.load(std::memory_order_acquire); }
  // Rises with every change that is announced.
  std::uint64_t changes() const noexcept { return changes_.load(); }

  // Who wants to be woken, before any thread runs; returns its number.
  std::size_t subscribe(ack_waker& waker);
  // The subscriber is told of the next change, once. True: there has been one since it last looked,
  // when changes() was `seen`; then nobody may tell it.
  [[nodiscard]] bool wait(std::size_t who, std::uint64_t seen) noexcept {
    subscribers_[who].waits.store(true);
    return changes() != seen;
  }

  // --- statistics ----------------------------------------------------------------------------
  void count_errors(std::uint64_t n) noexcept { errors_.fetch_add(n, std::memory_order_relaxed); }
  // Mutations that were answered by an error because the peer had not confirmed them.
  std::uint64_t errors() const noexcept { return errors_.load(std::memory_order_relaxed); }

 private:
  struct slot_state {
    std::atomic<replication::journal::position> confirmed{0};
    // Not 0: a scan is under way, and confirms nothing up to here before it is done.
    std::atomic<replication::journal::position> scan_from{0};
  };
  struct subscriber {
    explicit subscriber(ack_waker& who) : waker(who) {}
    ack_waker& waker;
    std::atomic<bool> waits{false};
  };

  const replication::ack_mode mode_;
  const std::chrono::milliseconds timeout_;
  std::vector<slot_state> slots_;
  std::atomic<replication::reply_rule> rule_{replication::reply_rule::when_confirmed};
  std::atomic<std::uint64_t> changes_{0};
  std::deque<subscriber> subscribers_;
  std::atomic<std::uint64_t> errors_{0};
  bool moved_ = false;  // since the last announce()
};

}  // namespace tandem::service
