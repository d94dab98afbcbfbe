#include "common/replication/sync_progress.h"

#include <algorithm>
#include <cstdio>

namespace tandem::replication {

namespace {
constexpr std::chrono::milliseconds window{2000};
constexpr double mebibyte = 1 << 20;
}  // namespace

void sync_progress::begin(instant now) {
  running_ = true;
  now_ = {};
  now_.permille = 0;
  began_ = window_began_ = now.steady;
  window_part_ = 0;
  window_bytes_ = 0;
}

void sync_progress::reached(double part, instant now) {
  if (!running_) return;
  now_.permille = static_cast<unsigned>(std::clamp(part, 0.0, 0.999) * 1000);
  const std::chrono::duration<double> passed = now.steady - window_began_;
  if (passed.count() <= 0) return;
  if (passed < window && window_began_ != began_) return;
  const double rate = static_cast<double>(now_.bytes - window_bytes_) / passed.count();
  now_.bytes_per_second = static_cast<std::uint64_t>(rate);
  const double walked = part - window_part_;
  now_.seconds_left =
      walked > 0 ? static_cast<std::uint64_t>((1 - part) / walked * passed.count()) + 1 : 0;
  if (passed < window) return;  // the first window: figures as early as they can be had
  window_began_ = now.steady;
  window_part_ = part;
  window_bytes_ = now_.bytes;
}

void sync_progress::end(instant now) {
  if (!running_) return;
  running_ = false;
  now_.permille = 1000;
  now_.bytes_per_second = now_.seconds_left = 0;
  took_ = std::chrono::duration_cast<std::chrono::milliseconds>(now.steady - began_);
}

std::string sync_progress::describe(const figures& f) {
  char text[160];
  std::snprintf(text, sizeof text, "%u.%u %%, %llu records, %.1f MiB, %.1f MiB/s", f.permille / 10,
                f.permille % 10, static_cast<unsigned long long>(f.records),
                static_cast<double>(f.bytes) / mebibyte,
                static_cast<double>(f.bytes_per_second) / mebibyte);
  std::string all = text;
  if (f.seconds_left > 0) all += ", about " + std::to_string(f.seconds_left) + " s left";
  return all;
}

}  // namespace tandem::replication
