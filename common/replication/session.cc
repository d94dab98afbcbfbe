#include "common/replication/session.h"

#include <algorithm>
#include <utility>

#include "common/base/endian.h"

namespace tandem::replication {

session::session(session_id number, bool by_us, std::string from, const hello& self,
                 const nonce& fresh, instant now)
    : id(number),
      dialed(by_us),
      peer(std::move(from)),
      mine(self),
      my_hello(encode(self)),
      my_nonce(fresh),
      last_heard_(now.steady),
      last_ping_(now.steady) {
  say(frame_type::hello, my_hello);
  if (mine.authenticates) say(frame_type::challenge, {my_nonce.data(), my_nonce.size()});
}

handshake_transcript session::transcript() const {
  const nonce theirs_fresh = their_nonce.value_or(nonce{});
  if (dialed) return {my_hello, their_hello, my_nonce, theirs_fresh};
  return {their_hello, my_hello, theirs_fresh, my_nonce};
}

void session::say(frame_type type, std::string_view payload) {
  append_frame(out, type, next_sequence++, payload);
}

void session::answered(instant) noexcept {
  // Progress is life, however slow: the next ping starts the clock again.
  unanswered_since_.reset();
}

void session::expect_answer(instant now) noexcept {
  if (!unanswered_since_) unanswered_since_ = now.steady;
}

void session::heartbeat(milliseconds interval, instant now) {
  if (now.steady - last_ping_ < interval) return;
  last_ping_ = now.steady;
  char bytes[sizeof(std::int64_t)];
  store_le(bytes, static_cast<std::int64_t>(now.steady.time_since_epoch().count()));
  say(frame_type::ping, {bytes, sizeof bytes});
  expect_answer(now);
}

const char* session::verdict(milliseconds dead_after, instant now) const noexcept {
  if (now.steady - last_heard_ >= dead_after) return "silent for the dead time";
  if (unanswered_since_ && now.steady - *unanswered_since_ >= dead_after)
    return "no answer for the dead time";
  return nullptr;
}

steady_time session::deadline(milliseconds interval, milliseconds dead_after) const noexcept {
  steady_time next = std::min(last_heard_ + dead_after, last_ping_ + interval);
  if (unanswered_since_) next = std::min(next, *unanswered_since_ + dead_after);
  return next;
}

}  // namespace tandem::replication
