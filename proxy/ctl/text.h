// Numbers and progress for people. Pure, but for progress_line.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace tandem::ctl {

std::string human_bytes(double bytes);      // "1.5 MiB"
std::string human_count(double count);      // "12.3k"
std::string human_seconds(double seconds);  // "3 min 20 s"
constexpr unsigned bar_width = 30;          // of progress
// "[=====>    ]  52 %", `width` characters between the brackets.
std::string bar(double ratio, unsigned width);
// "2026-11-26 12:53:25", local time.
std::string clock_text(double unix_seconds);
std::string message_of(int error_code);  // of errno
// Without what would move a terminal's cursor or colours.
std::string harmless(std::string_view text);

// Progress: redrawn in place on a terminal, else a line every few seconds.
class progress_line {
 public:
  static constexpr std::chrono::seconds line_interval{5};

  progress_line();
  void show(const std::string& text);
  // What is printed next begins on a line of its own.
  void finish();

 private:
  const bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace tandem::ctl
