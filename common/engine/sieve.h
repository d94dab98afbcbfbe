// The order in which a shard gives up what it holds: a queue of records by age, and SIEVE's hand
// over one (Zhang et al., NSDI'24): the hand goes from the oldest to the newest and round again,
// spares what was read since it last came by, and takes the rest. A hit only sets a bit. Private to
// the engine; the records are linked, not owned.
#pragma once

#include "common/engine/record.h"

namespace tandem::engine {

// A doubly linked queue through record::newer and record::older.
class record_queue {
 public:
  record* oldest() const noexcept { return oldest_; }

  void push_newest(record* r) noexcept {
    r->newer = nullptr;
    r->older = newest_;
    (newest_ ? newest_->newer : oldest_) = r;
    newest_ = r;
  }
  void remove(record* r) noexcept {
    (r->newer ? r->newer->older : newest_) = r->older;
    (r->older ? r->older->newer : oldest_) = r->newer;
  }
  // Puts `with` where `r` was.
  void replace(const record* r, record* with) noexcept {
    with->newer = r->newer;
    with->older = r->older;
    (with->newer ? with->newer->older : newest_) = with;
    (with->older ? with->older->newer : oldest_) = with;
  }

 private:
  record* newest_ = nullptr;
  record* oldest_ = nullptr;
};

class sieve {
 public:
  record* oldest() const noexcept { return queue_.oldest(); }
  // Where the hand stands: the next candidate; null if the queue is empty.
  record* hand() const noexcept { return hand_ ? hand_ : queue_.oldest(); }
  void advance() noexcept {
    if (record* r = hand()) hand_ = r->newer;
  }

  void insert(record* r) noexcept { queue_.push_newest(r); }
  void remove(record* r) noexcept {
    if (hand_ == r) hand_ = r->newer;
    queue_.remove(r);
  }
  void replace(const record* r, record* with) noexcept {
    if (hand_ == r) hand_ = with;
    queue_.replace(r, with);
  }

 private:
  record_queue queue_;
  record* hand_ = nullptr;  // null: at the oldest
};

}  // namespace tandem::engine
