#include "common/service/ack_gate.h"

#include <utility>

namespace tandem::service {

std::size_t ack_gate::subscribe(ack_waker& waker) {
  subscribers_.emplace_back(waker);
  return subscribers_.size() - 1;
}

void ack_gate::announce() {
  if (!std::exchange(moved_, false)) return;
  // Sequentially consistent, as in wait(): either we see that it waits, or it sees the change.
  changes_.fetch_add(1);
  for (subscriber& each : subscribers_)
    if (each.waits.load() && each.waits.exchange(false)) each.waker.confirmed();
}

}  // namespace tandem::service
