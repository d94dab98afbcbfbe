// Nobody who waits until there is something to send on a lane: the test looks for itself.
#pragma once

#include "common/backend/lane.h"

namespace tandem::test {

struct no_waker final : backend::lane_waker {
  unsigned calls = 0;
  void wanted() override { ++calls; }
};

}  // namespace tandem::test
