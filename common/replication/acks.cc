// What replies to mutations wait for: the modes of replication.ack.
//
// | mode     | the link                              | replies        |
// |----------|---------------------------------------|----------------|
// | async    | any                                   | at once        |
// | semisync | up, and the peer has caught up        | when confirmed |
// |          | an acknowledgement is late, or it is lost | at once, until the peer has caught up |
// | sync     | up, or down for less than ack_timeout | when confirmed |
// |          | down for longer                       | are errors     |
// |          | "alone on", until the peer is in sync | at once        |
#include <string>

#include "common/replication/core.h"

namespace tandem::replication {

void node::core::on(const event::ack_late&) {
  if (options_.ack == ack_mode::semisync && rule_ == reply_rule::when_confirmed)
    degrade("an acknowledgement is late");
}

void node::core::degrade(const std::string& reason) {
  degraded_ = true;
  ++totals_.ack_degradations;
  note(effect::level::warning, "replication: replies do not wait for the peer now: " + reason);
}

// Worth waiting for again: what is under way is younger than half of what a reply waits.
bool node::core::caught_up() const {
  if (!established_ || !sender_.peer_in_sync()) return false;
  const sender::lag lag = sender_.measure();
  if (lag.records == 0) return true;
  const auto half = std::chrono::microseconds(options_.ack_timeout) / 2;
  return lag.oldest && version::ticks_at(now_.wall) <
                           lag.oldest.ticks() + static_cast<std::uint64_t>(half.count());
}

void node::core::check_replies() {
  if (options_.ack == ack_mode::async || options_.guest) return;
  if (established_)
    linkless_since_.reset();
  else if (!linkless_since_)
    linkless_since_ = now_.steady;
  reply_rule wanted = reply_rule::when_confirmed;
  if (options_.ack == ack_mode::semisync) {
    if (!degraded_ && !established_) degrade("the link is down");
    if (degraded_ && looked_after_ && caught_up()) {
      degraded_ = false;
      note(effect::level::info, "replication: replies wait for the peer");
    }
    if (degraded_) wanted = reply_rule::at_once;
  } else {
    if (alone_ && established_ && sender_.peer_in_sync()) go_alone(false);
    if (alone_)
      wanted = reply_rule::at_once;
    else if (linkless_since_ && now_.steady >= *linkless_since_ + options_.ack_timeout)
      wanted = reply_rule::refuse;
    if (wanted == reply_rule::refuse && rule_ != wanted)
      note(effect::level::warning,
           "replication: no peer confirms mutations: they are answered by errors");
    if (rule_ == reply_rule::refuse && wanted != rule_)
      note(effect::level::info, "replication: mutations are answered again");
  }
  if (wanted == rule_) return;
  rule_ = wanted;
  effects_.emplace_back(effect::replies{rule_});
}

void node::core::go_alone(bool on) {
  if (alone_ == on) return;
  alone_ = on;
  note(effect::level::warning,
       on ? "replication: going on without a peer, as told" : "replication: not alone any more");
}

void node::core::order_alone(const order& o) {
  const std::string_view how = o.words.size() == 2 ? o.words.back() : std::string_view();
  if (how != "on" && how != "off") return answer(o.id, false, "on or off was expected");
  go_alone(how == "on");
  answer(o.id, true, "");
}

}  // namespace tandem::replication
