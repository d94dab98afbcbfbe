// CHECK: an invariant that holds unless the program is wrong. On in release builds: a replica that
// goes on with a broken invariant spreads it to its peer. Input from a network or a file never
// reaches a CHECK; it is refused where it is parsed.
#pragma once

namespace tandem {

// Prints the failed condition with its place to standard error and aborts. Any thread.
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace tandem

#define CHECK(condition)                               \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::tandem::check_failed(#condition, __FILE__, __LINE__))
