#include "common/service/held_replies.h"

#include <algorithm>
#include <utility>

#include "common/protocol/reply.h"

namespace tandem::service {

using replication::ack_mode;
using replication::reply_rule;

// Where the last reply's entries begin; there is one.
std::size_t held_replies::last_reply() const noexcept {
  std::size_t at = held_.size() - 1;
  while (at > first_ && held_[at].joined) --at;
  return at;
}

// Of one shard a reply waits for the last position only.
void held_replies::hold(std::size_t reply, const ack_ticket& ticket, const held& like) {
  for (std::size_t i = reply; i < held_.size(); ++i)
    if (held_[i].ticket.slot == ticket.slot) {
      held_[i].ticket.position = std::max(held_[i].ticket.position, ticket.position);
      return;
    }
  held_.push_back(like);
  held_.back().ticket = ticket;
  held_.back().joined = held_.size() - 1 != reply;
}

void held_replies::finish(std::uint64_t end, bool goes_on, instant now) {
  const bool continued = std::exchange(open_, goes_on) && !empty();
  if (notes_.list.empty() && !continued) {
    // Nothing is held for what has been made of it so far.
    open_ = false;
    return;
  }
  const std::size_t reply = continued ? last_reply() : held_.size();
  const held like{
      continued ? held_[reply].begin : step_begin_, end, {}, now.steady + gate_.timeout(), false};
  for (const ack_ticket& ticket : notes_.list) hold(reply, ticket, like);
  for (std::size_t i = reply; i < held_.size(); ++i) held_[i].end = end;
  notes_.list.clear();
}

void held_replies::drop_first() {
  const held gone = held_[first_++];
  // The reply is held until the last of what it waits for has come.
  if (!empty() && held_[first_].joined) {
    held_[first_].joined = false;
    held_[first_].deadline = gone.deadline;
  } else if (empty()) {
    open_ = false;
  }
  if (first_ * 2 < held_.size()) return;
  held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(first_));
  first_ = 0;
}

void held_replies::release_confirmed() {
  while (!empty() && gate_.confirmed(held_[first_].ticket)) drop_first();
}

bool held_replies::look(output_queue& out, instant now) {
  if (empty()) return false;
  seen_ = gate_.changes();
  const reply_rule rule = gate_.rule();
  if (rule == reply_rule::at_once) {
    held_.clear();
    first_ = 0;
    open_ = false;
    return false;
  }
  release_confirmed();
  if (empty()) return false;
  const bool late = held_[first_].deadline <= now.steady;
  if (gate_.mode() == ack_mode::semisync) return late;
  if (rule == reply_rule::refuse)
    fail_late(out, steady_time::max());
  else if (late)
    fail_late(out, now.steady);
  return false;
}

// One that is confirmed behind one that is late is an error only if it is late itself.
void held_replies::fail_late(output_queue& out, steady_time late_at) {
  const bool refused = late_at == steady_time::max();
  std::vector<output_queue::change> changes;
  std::int64_t grown = 0;
  std::size_t i = first_;
  while (i < held_.size() && held_[i].deadline <= late_at) {
    std::size_t next = i + 1;
    while (next < held_.size() && held_[next].joined) ++next;
    const bool there = std::all_of(held_.begin() + static_cast<std::ptrdiff_t>(i),
                                   held_.begin() + static_cast<std::ptrdiff_t>(next),
                                   [&](const held& h) { return gate_.confirmed(h.ticket); });
    if (!there) {
      const std::string_view line =
          refused ? protocol::reply::no_peer : protocol::reply::not_confirmed;
      changes.push_back({held_[i].begin, held_[i].end, line});
      grown += static_cast<std::int64_t>(line.size()) -
               static_cast<std::int64_t>(held_[i].end - held_[i].begin);
      if (next == held_.size() && std::exchange(open_, false)) abandoned_ = true;
    }
    i = next;
  }
  gate_.count_errors(changes.size());
  out.rewrite(changes);
  held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(i));
  first_ = 0;
  for (held& h : held_) {
    h.begin += static_cast<std::uint64_t>(grown);
    h.end += static_cast<std::uint64_t>(grown);
  }
}

bool held_replies::abandoned() noexcept {
  return std::exchange(abandoned_, false);
}

}  // namespace tandem::service
