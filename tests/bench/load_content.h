// What a load and a digest of it have in common: the command line's values, the keys and the values
// that tell whose they are, and the connection. For load.cc and load_digest.h only.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace tandem::bench::loader {

struct arguments {
  std::string host = "127.0.0.1";
  std::uint16_t port = 11211;
  unsigned connections = 50;
  unsigned pipeline = 1;
  double set_ratio = 1.0;
  std::uint64_t keys = 100000;
  std::size_t value_size = 100;
  std::uint64_t count = 0;  // requests; 0: no end by count
  double duration = 0;      // seconds; 0: no end by time
  double rate = 0;          // requests per second over all connections; 0: as fast as it goes
  std::uint64_t seed = 1;
  bool fill = false;
  bool digest = false;
  bool uniques = true;  // count for the digest
  std::string dump;
};

// ---- keys and values -------------------------------------------------------------------------

inline std::string key_name(std::uint64_t index) {
  return "load:" + std::to_string(index);
}

inline unsigned key_flags(std::uint64_t index) {
  return static_cast<unsigned>(index % 65536);
}

// A value is a stamp of 16 hexadecimal digits, then one letter that stamp and key determine.
constexpr std::size_t stamp_size = 16;

inline char fill_letter(std::uint64_t index, std::uint64_t stamp) {
  return static_cast<char>('a' + (index + stamp) % 26);
}

inline void append_value(std::string& out, std::uint64_t index, std::uint64_t stamp,
                         std::size_t size) {
  const std::size_t end = out.size() + size;
  if (size > stamp_size) {
    std::array<char, stamp_size + 1> digits{};
    std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(stamp));
    out.append(digits.data(), stamp_size);
  } else {
    stamp = 0;
  }
  out.append(end - out.size(), fill_letter(index, stamp));
}

inline bool value_is_ours(std::string_view value, std::uint64_t index) {
  std::uint64_t stamp = 0;
  if (value.size() > stamp_size) {
    const char* const end = value.data() + stamp_size;
    if (std::from_chars(value.data(), end, stamp, 16).ptr != end) return false;
    value.remove_prefix(stamp_size);
  }
  return value.find_first_not_of(fill_letter(index, stamp)) == std::string_view::npos;
}

// ---- the server ------------------------------------------------------------------------------

[[noreturn]] inline void give_up(const std::string& what) {
  std::fprintf(stderr, "tandem_load: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(2);
}

inline int connect_to(const arguments& given) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(given.port);
  if (::inet_pton(AF_INET, given.host.c_str(), &address.sin_addr) != 1) {
    errno = EINVAL;
    give_up("--host wants an IPv4 address");
  }
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
  if (fd < 0 || ::connect(fd, generic, sizeof address) != 0) give_up("connect");
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

}  // namespace tandem::bench::loader
