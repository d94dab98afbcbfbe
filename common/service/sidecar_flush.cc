// A flush_all of the peer's at the backend. It goes by one lane, and the lanes have no order among
// them: written at once it would take away what follows it on another lane, or leave there what was
// before it. So it is sent when every lane has answered what it was given before, and the peer's
// records wait until it is answered.
// Where a lane is lost meanwhile the whole content is in doubt, and is flushed when it is back.
//
// A client's flush_all has its version when its reply comes. What was written by another lane since
// it was sent may come after it there and be older by its version: it is taken away again.
#include <algorithm>
#include <utility>
#include <vector>

#include "common/service/sidecar.h"

namespace tandem::service {

using backend::expected;
using backend::lane;

namespace {
// More changes than that in the time of one request: what is not noted may stay behind.
constexpr std::size_t beside_max = 65536;
}  // namespace

// Whom the replies are for: of a request that does nothing by each lane, then of the flush_all.
struct sidecar::flush_round final : backend::reply_sink {
  flush_round(sidecar& of, std::uint64_t number_of, std::int32_t when)
      : owner(of), number(number_of), exptime(when) {}

  // In the lanes' threads.
  bool answered(const expected& to, std::string_view reply) override {
    if (reply.empty()) lost.store(true);
    one_less(to.home);
    return false;
  }
  void settled() override {}

  void one_less(std::uint16_t home) {
    if (missing.fetch_sub(1) != 1) return;
    const flush_ptr keeps = std::move(self);
    if (!lost.load() && !std::exchange(sent, true)) return owner.send_flush(keeps);
    owner.end_flush(*this, home);
  }

  sidecar& owner;
  const std::uint64_t number;  // of applied()
  const std::int32_t exptime;  // by the backend's clock
  flush_ptr self = nullptr;    // as long as replies are missing
  std::atomic<std::size_t> missing{0};
  std::atomic<bool> lost{false};
  bool sent = false;
};

void sidecar::apply_flush(const replication::flush_state& incoming, instant now) {
  const replication::flush_state before = index_.flush();
  index_.apply_flush(incoming, now);
  if (index_.flush() == before) return;
  const bool later = incoming.pending_at > unix_seconds(now.wall);
  const std::uint32_t exptime = later ? lanes_.clock().theirs(incoming.pending_at) : 0;
  const auto round =
      std::make_shared<flush_round>(*this, number_, static_cast<std::int32_t>(exptime));
  {
    const std::lock_guard guard(mutex_);
    ++unkept_[number_];
    flushes_.push_back(round);
    flushing_.store(true);
    if (flushes_.size() > 1) return;
  }
  begin_flush(round);
}

void sidecar::begin_flush(const flush_ptr& round) {
  round->self = round;
  round->missing.store(1);
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    lane::access with(lanes_.at(i));
    if (!with.up()) {
      round->lost.store(true);
      continue;
    }
    round->missing.fetch_add(1);
    with.out().append("mn\r\n");
    expected e;
    e.who = round.get();
    e.home = with.home();
    e.reply.how = backend::treatment::nothing;
    with.add(e, {});
  }
  round->one_less(lanes_.at(0).home());
}

void sidecar::send_flush(const flush_ptr& round) {
  round->self = round;
  round->missing.store(1);
  {
    lane::access with(lanes_.at(0));
    if (with.up()) {
      protocol::request flush;
      flush.what = protocol::verb::flush_all;
      flush.exptime = round->exptime;
      expected e;
      e.who = round.get();
      e.home = with.home();
      e.reply = backend::write_request(with.out(), flush, {}, {});
      e.reply.how = backend::treatment::nothing;
      return with.add(e, {});
    }
  }
  round->lost.store(true);
  round->one_less(lanes_.at(0).home());
}

// `home`: of a lane that is to retry() next.
void sidecar::end_flush(const flush_round& round, std::uint16_t home) {
  flush_ptr next;
  {
    const std::lock_guard guard(mutex_);
    if (round.lost.load()) doubt({}, false);
    is_kept(round.number);
    flushes_.pop_front();
    if (!flushes_.empty()) {
      next = flushes_.front();
    } else {
      flushing_.store(false);
      auto& to = waiting_[home];
      for (waiting& each : waiting_.back()) to.push_back(std::move(each));
      waiting_.back().clear();
    }
  }
  if (next) begin_flush(next);
}

// Under the mutex.
void sidecar::note_beside_flush(std::string_view key, bool binary) {
  if (!key.empty() && beside_.size() < beside_max) beside_.push_back({std::string(key), binary});
}

// In the lane's thread.
void sidecar::end_client_flush(bool done, instant now) {
  std::vector<written_key> beside;
  {
    const std::lock_guard guard(mutex_);
    beside = beside_;
    for (const auto& each : written_) beside.insert(beside.end(), each.begin(), each.end());
    if (lanes_.flush_ends() == 0) beside_.clear();
  }
  if (!done) return;
  const auto name = [](const written_key& w) {
    return std::pair(std::string_view(w.key), w.binary);
  };
  std::sort(beside.begin(), beside.end(),
            [&](const written_key& a, const written_key& b) { return name(a) < name(b); });
  beside.erase(
      std::unique(beside.begin(), beside.end(),
                  [&](const written_key& a, const written_key& b) { return name(a) == name(b); }),
      beside.end());
  for (const written_key& each : beside) {
    if (each.key.empty()) continue;
    const hashed_key k(each.key);
    burst to{lane::access(lanes_.of(k.hash)), number_of_none};
    if (!to.with.up() || index_.lock(k, now).find(k, false)) continue;
    backend::write_remove(to.with.quiet_out(), {each.key, each.binary});
    expect_done(to, {each.key, each.binary});
    expect_replies(to);
  }
}

bool sidecar::waits_for_flush(const replication::record& incoming, std::uint64_t number) {
  if (!flushing_.load()) return false;
  const std::lock_guard guard(mutex_);
  if (flushes_.empty()) return false;  // or end_flush() may have looked already
  wait(waiting_.size() - 1, incoming, number);
  return true;
}

}  // namespace tandem::service
