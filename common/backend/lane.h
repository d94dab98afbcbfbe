// One connection to the backend as a value: requests of many clients on their way there, and
// their replies on the way back, first come, first served. All commands on a key go through one
// lane, so that their order is one order for clients, the peer and the backend.
//
// Threads: requests may be added in any thread, through a `lane::access`, which holds the lane's
// lock; all else belongs to the thread that has its socket.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/backend/clock.h"
#include "common/backend/reply.h"
#include "common/backend/request.h"
#include "common/base/byte_buffer.h"
#include "common/protocol/verbs.h"

namespace tandem::backend {

struct expected;

// Who gets replies. It outlives its requests: each of them is answered once, lost ones too.
class reply_sink {
 public:
  // `reply` is what came, whole; empty: the connection was lost. Borrowed. True: it stays until
  // settled(); or it may be gone after its last reply.
  virtual bool answered(const expected& to, std::string_view reply) = 0;
  // No more of them for now.
  virtual void settled() = 0;

 protected:
  ~reply_sink() = default;
};

// A request whose reply has not come.
struct expected {
  reply_sink* who = nullptr;  // null: nobody
  std::uint32_t number = 0;   // the sink's own
  std::uint16_t home = 0;     // the number of the thread that the sink belongs to
  expectation reply;
  protocol::verb what = protocol::verb::unknown;
  bool binary = false;         // the key came in base64
  std::uint8_t key_size = 0;   // of a change or a retrieval: its key is kept
  std::uint32_t key_at = 0;    // the lane's own
  bool goes_on = false;        // its line, with the key of the next request
  std::uint32_t requests = 1;  // quiet ones that one reply is for
  std::uint64_t hash = 0;      // of the key
  // What the command makes of the key's expiry, Unix seconds by our clock, if it sets one.
  bool sets_exptime = false;
  std::uint32_t exptime = 0;
  // Of those who follow what changes: what they said of this one.
  bool changed = false;
  std::size_t mark_slot = 0;
  std::uint64_t mark_position = 0;
};

// Told, in any thread, that there is something to send: take_output().
class lane_waker {
 public:
  virtual void wanted() = 0;

 protected:
  ~lane_waker() = default;
};

class lane {
 public:
  explicit lane(std::uint16_t home) : home_(home) {}
  lane(const lane&) = delete;
  lane& operator=(const lane&) = delete;

  // Before any other thread knows the lane. The waker outlives it.
  void set_waker(lane_waker& waker) noexcept { waker_ = &waker; }
  std::uint16_t home() const noexcept { return home_; }
  // Whether requests are taken, and whether they may choose CAS uniques. Any thread; what is read
  // outside of an access may be over.
  bool up() const noexcept { return up_.load(std::memory_order_acquire); }
  bool explicit_cas() const noexcept { return explicit_cas_.load(std::memory_order_relaxed); }

  // Adds requests: writes one to out() and says add() what to expect, or neither. The waker is told
  // at the end of the access.
  class access {
   public:
    explicit access(lane& of) : lane_(of), guard_(of.mutex_) {}
    ~access() {
      guard_.unlock();
      if (wakes_) lane_.waker_->wanted();
    }
    access(const access&) = delete;
    access& operator=(const access&) = delete;
    // No other calls if this is false.
    bool up() const noexcept { return lane_.up(); }
    byte_buffer& out() {
      lane_.end_quiet();
      return lane_.out_;
    }
    std::uint16_t home() const noexcept { return lane_.home_; }
    bool explicit_cas() const noexcept { return lane_.explicit_cas(); }
    // Whether a change of a key with this hash may be under way.
    bool changes(std::uint64_t hash) const noexcept { return lane_.changing(hash).load() != 0; }
    // Whether a retrieval by `what` may go by the line of the request before it.
    bool joins(protocol::verb what) const noexcept;
    // `key`: kept until the reply, where that is to be told from others, or the request may change
    // it.
    void add(expected what, std::string_view key);
    // The same for requests that change nothing of clients' and are answered only where they fail
    // (flag q of the meta commands). Those that stand together get one reply, which tells that all
    // are done; only one sink of a lane adds such.
    byte_buffer& quiet_out() noexcept { return lane_.out_; }
    void add_quiet(expected what);

   private:
    lane& lane_;
    std::unique_lock<std::mutex> guard_;
    bool wakes_ = false;
  };

  // --- the socket's thread -------------------------------------------------------------------
  void open(bool explicit_cas);
  // What there is to send, taken over by the caller (empty before the call): nothing as long as
  // fewer requests wait here than are unanswered. They would wait behind those anyway, and many
  // that go out together cost little more than one. To be called again when replies have come.
  void take_output(byte_buffer& to);
  // Where the next bytes from the backend go.
  std::span<char> prepare();
  // `n` bytes were put there. Calls answer(expected&, key, reply) for each whole reply; that of a
  // request that goes_on has no END behind a value. False: what came is not the protocol, or not
  // asked for.
  template <class Answer>
  [[nodiscard]] bool received(std::size_t n, Answer&& answer);
  // The connection is gone: no requests are taken any more. Calls lost(expected&, key) for each
  // that was waiting.
  template <class Lost>
  void close(Lost&& lost);
  // It does not answer, and stays: the same, but what take_output() gave is sent, and its replies
  // are received, which concern nobody. Until drained() what they did is not known, nor done.
  template <class Lost>
  void stall(Lost&& lost);
  bool drained() const noexcept { return next_ == sent_.list.size(); }
  // Requests were answered so far, and whether any waits.
  std::uint64_t answered() const noexcept { return answered_; }
  bool waiting();

 private:
  // Requests in their order, and the keys that they change.
  struct run {
    std::vector<expected> list;
    std::string keys;
    void clear() noexcept {
      list.clear();
      keys.clear();
    }
  };
  // The oldest request; null: none waits.
  expected* front();
  reply_finder::status find_reply(const expected& what);
  std::string_view missing() const;
  std::string_view key_of(const expected& e) const {
    return std::string_view(sent_.keys).substr(e.key_at, e.key_size);
  }
  // How many changes are under way of the keys that share a place.
  std::atomic<std::uint16_t>& changing(std::uint64_t hash) noexcept {
    return changing_[(hash >> 40) % changing_.size()];
  }
  void done(const expected& e) noexcept {
    if (e.reply.what != change::none) changing(e.hash).fetch_sub(1);
  }
  void forget_answered();
  // Under the mutex: asks for the reply to the quiet requests that stand last.
  void end_quiet();

  const std::uint16_t home_;
  lane_waker* waker_ = nullptr;
  std::atomic<bool> up_{false};
  std::atomic<bool> explicit_cas_{false};
  std::mutex mutex_;
  byte_buffer out_;         // under the mutex
  run added_;               // under the mutex
  std::size_t enough_ = 1;  // under the mutex: so many of them are worth a wake
  unsigned on_line_ = 0;    // under the mutex: requests on the line of the last
  bool quiet_ = false;      // under the mutex: the last is quiet, more may join it
  run sent_;                // from next_ on
  std::size_t next_ = 0;
  byte_buffer in_;
  reply_finder finder_;
  std::uint64_t answered_ = 0;
  std::array<std::atomic<std::uint16_t>, 1024> changing_{};
};

template <class Answer>
bool lane::received(std::size_t n, Answer&& answer) {
  in_.commit(n);
  while (!in_.empty()) {
    expected* const what = front();
    if (what == nullptr) return false;
    switch (find_reply(*what)) {
      case reply_finder::status::incomplete:
        return true;
      case reply_finder::status::malformed:
        return false;
      case reply_finder::status::complete:
        break;
    }
    ++next_;
    ++answered_;
    const std::size_t size = finder_.size();
    finder_.restart();
    answer(*what, key_of(*what), size == 0 ? missing() : in_.view().substr(0, size));
    done(*what);
    in_.consume(size);
  }
  return true;
}

template <class Lost>
void lane::close(Lost&& lost) {
  {
    const std::lock_guard guard(mutex_);
    up_.store(false, std::memory_order_release);
    out_.consume(out_.size());
    enough_ = 1;
    quiet_ = false;
  }
  while (expected* const what = front()) {
    ++next_;
    lost(*what, key_of(*what));
    done(*what);
  }
  in_.consume(in_.size());
  finder_.restart();
}

template <class Lost>
void lane::stall(Lost&& lost) {
  run unsent;
  {
    const std::lock_guard guard(mutex_);
    up_.store(false, std::memory_order_release);
    out_.consume(out_.size());
    std::swap(added_, unsent);
    enough_ = 1;
    quiet_ = false;
  }
  for (std::size_t i = next_; i < sent_.list.size(); ++i) {
    expected& e = sent_.list[i];
    lost(e, key_of(e));
    done(e);
    e.who = nullptr;
    e.what = protocol::verb::unknown;
    e.reply.what = change::none;
  }
  for (expected& e : unsent.list) {
    lost(e, std::string_view(unsent.keys).substr(e.key_at, e.key_size));
    done(e);
  }
}

// The lanes of a process, of which there is at least one. Immutable once threads run, but for
// whether clients are admitted.
class lanes {
 public:
  void add(lane& one) { all_.push_back(&one); }
  std::size_t size() const noexcept { return all_.size(); }
  lane& of(std::uint64_t hash) const noexcept {
    // The low bits name the store's shard.
    return all_.size() == 1 ? *all_.front() : *all_[(hash >> 32) % all_.size()];
  }
  lane& at(std::size_t number) const noexcept { return *all_[number]; }
  // Whether clients' requests may be added: what the backend holds is what they may see. Any
  // thread.
  bool admits() const noexcept { return admits_.load(std::memory_order_acquire); }
  void admit(bool clients) noexcept { admits_.store(clients, std::memory_order_release); }
  // How many flush_all of clients are under way: what is done beside them may be before or behind
  // them there. Begun under the lock of the lane that it goes by. Any thread.
  unsigned flushes() const noexcept { return flushes_.load(); }
  void flush_begins() noexcept { flushes_.fetch_add(1); }
  unsigned flush_ends() noexcept { return flushes_.fetch_sub(1) - 1; }
  // The backend's.
  backend::clock& clock() noexcept { return clock_; }
  const backend::clock& clock() const noexcept { return clock_; }

 private:
  std::vector<lane*> all_;
  std::atomic<bool> admits_{true};
  std::atomic<unsigned> flushes_{0};
  backend::clock clock_;
};

}  // namespace tandem::backend
