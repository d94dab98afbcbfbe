// A library to be preloaded: the process's wall clock is off by as many microseconds as the first
// eight bytes of the file named by BENT_CLOCK say, from one call to the next. The monotonic clock
// and all timers are left alone, as when somebody sets the clock. (libfaketime also shifts what a
// timerfd waits for, so that timers never fire.)
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

constexpr std::int64_t second = 1'000'000;

std::atomic<std::int64_t>* offset() {
  static auto* const at = []() -> std::atomic<std::int64_t>* {
    const char* name = std::getenv("BENT_CLOCK");
    const int file = name != nullptr ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return nullptr;
    void* const mapped = mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    return mapped == MAP_FAILED ? nullptr : static_cast<std::atomic<std::int64_t>*>(mapped);
  }();
  return at;
}

std::int64_t bent_by() {
  return offset() != nullptr ? offset()->load(std::memory_order_relaxed) : 0;
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* out) noexcept {
  using function = int (*)(clockid_t, timespec*);
  static const auto real = reinterpret_cast<function>(dlsym(RTLD_NEXT, "clock_gettime"));
  const int result = real(clock, out);
  if (result != 0 || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return result;
  const std::int64_t micros = out->tv_sec * second + out->tv_nsec / 1000 + bent_by();
  out->tv_sec = micros / second;
  out->tv_nsec = micros % second * 1000 + out->tv_nsec % 1000;
  return 0;
}

extern "C" int gettimeofday(timeval* out, void*) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  *out = {now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

extern "C" time_t time(time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}
