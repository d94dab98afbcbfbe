#include "proxy/ctl/text.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <system_error>

namespace tandem::ctl {

namespace {

std::string scaled(double value, double base, const char* const* units, unsigned count,
                   const char* between) {
  unsigned unit = 0;
  while (value >= base && unit + 1 < count) {
    value /= base;
    ++unit;
  }
  char text[48];
  const char* const format = unit == 0 ? "%.0f%s%s" : "%.1f%s%s";
  std::snprintf(text, sizeof text, format, value, units[unit][0] == 0 ? "" : between, units[unit]);
  return text;
}

}  // namespace

std::string human_bytes(double bytes) {
  static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  return scaled(bytes, 1024, units, 5, " ");
}

std::string human_count(double count) {
  static constexpr const char* units[] = {"", "k", "M", "G"};
  return scaled(count, 1000, units, 4, "");
}

std::string human_seconds(double seconds) {
  const auto s = static_cast<std::uint64_t>(std::max(seconds, 0.0));
  constexpr std::uint64_t minute = 60, hour = 60 * minute, day = 24 * hour;
  const auto two = [&](std::uint64_t unit, const char* name, std::uint64_t part,
                       const char* part_name) {
    std::string text = std::to_string(s / unit) + " " + name;
    if (s % unit / part != 0) text += " " + std::to_string(s % unit / part) + " " + part_name;
    return text;
  };
  if (s >= day) return two(day, "d", hour, "h");
  if (s >= hour) return two(hour, "h", minute, "min");
  if (s >= minute) return two(minute, "min", 1, "s");
  return std::to_string(s) + " s";
}

std::string bar(double ratio, unsigned width) {
  ratio = std::clamp(ratio, 0.0, 1.0);
  const auto full = static_cast<unsigned>(std::lround(ratio * width));
  std::string text = "[" + std::string(full, '=');
  if (full < width) text += '>' + std::string(width - full - 1, ' ');
  char percent[16];
  std::snprintf(percent, sizeof percent, "] %3.0f %%", ratio * 100);
  return text + percent;
}

std::string clock_text(double unix_seconds) {
  const auto seconds = static_cast<std::time_t>(unix_seconds);
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

std::string harmless(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  return result;
}

progress_line::progress_line() : terminal_(::isatty(STDOUT_FILENO) == 1) {}

void progress_line::show(const std::string& text) {
  if (terminal_) {
    std::printf("\r\x1b[K%s", text.c_str());
    std::fflush(stdout);
    drawn_ = true;
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + line_interval;
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

void progress_line::finish() {
  if (drawn_) std::printf("\n");
  drawn_ = false;
}

std::string message_of(int error_code) {
  return std::generic_category().message(error_code);
}

}  // namespace tandem::ctl
