// tandem_load --digest: what a server holds of a load's keys, as one number. Equal contents (keys,
// flags, values, and CAS uniques if asked for) have equal digests.
#pragma once

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "tests/bench/load_content.h"

namespace tandem::bench::loader {

inline std::uint64_t fnv1a(std::string_view bytes, std::uint64_t hash = 0xcbf29ce484222325ULL) {
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

// Reads every key, a hundred to a command, over one blocking connection.
class digest {
 public:
  explicit digest(const arguments& given) : given_(given), fd_(connect_to(given)) {
    ::fcntl(fd_, F_SETFL, 0);
    if (!given.dump.empty()) dump_ = std::fopen(given.dump.c_str(), "w");
  }
  ~digest() {
    ::close(fd_);
    if (dump_ != nullptr) std::fclose(dump_);
  }
  digest(const digest&) = delete;
  digest& operator=(const digest&) = delete;

  void run() {
    constexpr std::uint64_t step = 100;
    for (std::uint64_t first = 0; first < given_.keys; first += step) {
      std::string command = given_.uniques ? "gets" : "get";
      const std::uint64_t last = std::min(first + step, given_.keys);
      for (std::uint64_t key = first; key < last; ++key) command += ' ' + key_name(key);
      command += "\r\n";
      if (::send(fd_, command.data(), command.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(command.size())) {
        give_up("send");
      }
      read_values();
    }
    std::printf("items=%llu misses=%llu digest=%016llx\n", static_cast<unsigned long long>(items_),
                static_cast<unsigned long long>(given_.keys - items_),
                static_cast<unsigned long long>(hash_));
  }

 private:
  void read_values() {
    for (std::string line = read_line(); line != "END"; line = read_line()) {
      if (!line.starts_with("VALUE ")) {
        errno = EPROTO;
        give_up("gets answered: " + line);
      }
      // VALUE key flags bytes [cas]
      const std::size_t size_end = given_.uniques ? line.rfind(' ') : line.size();
      const std::size_t size_at = line.rfind(' ', size_end - 1);
      const std::size_t size = std::strtoull(line.c_str() + size_at + 1, nullptr, 10);
      const std::string value = read_bytes(size + 2);
      const std::uint64_t hash = fnv1a(value, fnv1a(line));
      if (dump_ != nullptr) {
        std::fprintf(dump_, "%s %016llx\n", line.c_str() + 6,
                     static_cast<unsigned long long>(hash));
      }
      hash_ = fnv1a(std::to_string(hash), hash_);
      ++items_;
    }
  }

  void receive() {
    std::array<char, 65536> buffer;
    const ssize_t got = ::recv(fd_, buffer.data(), buffer.size(), 0);
    if (got <= 0) give_up("receive");
    in_.erase(0, parsed_);
    parsed_ = 0;
    in_.append(buffer.data(), static_cast<std::size_t>(got));
  }

  std::string read_line() {
    for (;;) {
      const std::size_t end = in_.find("\r\n", parsed_);
      if (end != std::string::npos) {
        std::string line = in_.substr(parsed_, end - parsed_);
        parsed_ = end + 2;
        return line;
      }
      receive();
    }
  }

  std::string read_bytes(std::size_t count) {
    while (in_.size() - parsed_ < count) receive();
    std::string bytes = in_.substr(parsed_, count);
    parsed_ += count;
    return bytes;
  }

  const arguments& given_;
  int fd_;
  std::FILE* dump_ = nullptr;
  std::string in_;
  std::size_t parsed_ = 0;
  std::uint64_t items_ = 0;
  std::uint64_t hash_ = fnv1a("");
};

}  // namespace tandem::bench::loader
