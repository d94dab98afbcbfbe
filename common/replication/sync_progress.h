// How far a scan for the peer has come, how fast it goes and how long it may take still. The
// estimate is by the part of the index that was walked lately: items are spread over it evenly.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "common/base/time.h"

namespace tandem::replication {

class sync_progress {
 public:
  struct figures {
    unsigned permille = 1000;            // of what is to be scanned
    std::uint64_t records = 0;           // sent by it
    std::uint64_t bytes = 0;             // of their keys and values
    std::uint64_t bytes_per_second = 0;  // lately
    std::uint64_t seconds_left = 0;      // about; 0: not known yet, or done
  };

  // A scan begins, or starts over.
  void begin(instant now);
  bool running() const noexcept { return running_; }
  void sent(std::uint64_t records, std::uint64_t bytes) noexcept {
    now_.records += records;
    now_.bytes += bytes;
  }
  // It has come to `part` (0..1) of the whole. To be called a few times a second.
  void reached(double part, instant now);
  void end(instant now);
  const figures& look() const noexcept { return now_; }
  // What the scan that has ended came to.
  std::chrono::milliseconds took() const noexcept { return took_; }

  // "37.2 %, 1200000 records, 450.1 MiB, 45.3 MiB/s, about 12 s left"
  static std::string describe(const figures& f);

 private:
  bool running_ = false;
  figures now_;
  steady_time began_{};
  std::chrono::milliseconds took_{};
  steady_time window_began_{};
  double window_part_ = 0;
  std::uint64_t window_bytes_ = 0;
};

}  // namespace tandem::replication
