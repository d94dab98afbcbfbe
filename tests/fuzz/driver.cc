// A fuzzing driver for compilers without libFuzzer: calls LLVMFuzzerTestOneInput with the corpus,
// then with mutations of it and random bytes, for a while, from one seed. No coverage feedback:
// the corpus must show it the interesting shapes. Every input is on disk before it runs as
// crash-<program>-<pid>, which stays, and is named, when the process dies of it.
//
//   tandem_fuzz_NAME [--seconds N] [--seed S] [--max-bytes B] FILE-OR-FOLDER...
//   tandem_fuzz_NAME --seconds 0 crash-...       runs the files given, once each
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/prng.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
// A sanitizer ends the process by _exit after its report; it calls this first. Absent without one.
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace {

using input = std::vector<std::uint8_t>;

struct arguments {
  unsigned seconds = 4;
  std::uint64_t seed = 1;
  std::size_t bytes_max = 8192;
  std::vector<std::filesystem::path> corpus;
};

// The input under way, in a shared mapping of a file: it survives abort() and a sanitizer's exit
// without a system call for each execution.
class crash_file {
 public:
  crash_file(const std::string& program, std::size_t bytes_max)
      : path_(std::filesystem::absolute("crash-" + program + "-" + std::to_string(::getpid()))),
        capacity_(bytes_max) {
    fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd_ < 0 || ::ftruncate(fd_, static_cast<off_t>(capacity_)) != 0) fail();
    void* const mapped = ::mmap(nullptr, capacity_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (mapped == MAP_FAILED) fail();
    bytes_ = static_cast<std::uint8_t*>(mapped);
  }
  crash_file(const crash_file&) = delete;
  crash_file& operator=(const crash_file&) = delete;

  void hold(const input& data) {
    size_ = std::min(data.size(), capacity_);
    std::copy_n(data.data(), size_, bytes_);
  }

  // Called by a dying process: cuts the file to the input and names it. Async-signal-safe.
  void keep() const {
    if (::ftruncate(fd_, static_cast<off_t>(size_)) != 0) return;
    write_error("\nthe input of the crash is in ");
    write_error(path_.native());
    write_error("\n");
  }

  void remove() const { ::unlink(path_.c_str()); }

 private:
  static void write_error(std::string_view text) {
    if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;
  }
  [[noreturn]] void fail() const {
    std::perror(path_.c_str());
    std::exit(2);
  }

  std::filesystem::path path_;
  std::size_t capacity_;
  std::size_t size_ = 0;
  std::uint8_t* bytes_ = nullptr;
  int fd_ = -1;
};

crash_file* current = nullptr;  // for the handlers below; set once in main

void on_signal(int number) {
  current->keep();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void on_sanitizer_death() {
  current->keep();
}

input read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<input> read_corpus(const arguments& given) {
  std::vector<std::filesystem::path> files;
  for (const auto& path : given.corpus) {
    if (std::filesystem::is_directory(path)) {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
        if (entry.is_regular_file()) files.push_back(entry.path());
      }
    } else if (std::filesystem::exists(path)) {
      files.push_back(path);
    } else {
      std::fprintf(stderr, "no such corpus: %s\n", path.c_str());
      std::exit(2);
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<input> corpus;
  for (const auto& file : files) corpus.push_back(read_file(file));
  return corpus;
}

// Numbers at which length and count fields break.
constexpr std::uint64_t edges[] = {0,       1,          0x7f,       0x80,       0xff,
                                   0x100,   0x7fff,     0x8000,     0xffff,     0x10000,
                                   1 << 20, 0x7fffffff, 0x80000000, 0xffffffff, ~0ULL};
constexpr std::string_view words[] = {"\r\n",
                                      " ",
                                      "noreply",
                                      "-1",
                                      "18446744073709551615",
                                      "4294967296",
                                      "0",
                                      "get ",
                                      "set k 0 0 1\r\nx\r\n"};

class mutator {
 public:
  mutator(std::uint64_t seed, std::size_t bytes_max) : random_(seed), bytes_max_(bytes_max) {}

  input next(const std::vector<input>& corpus) {
    input made;
    if (corpus.empty() || random_.chance(20)) {
      made.resize(random_.below(256));
      for (auto& byte : made) byte = static_cast<std::uint8_t>(random_.next());
    } else {
      made = pick(corpus);
    }
    for (auto changes = random_.below(6); changes > 0; --changes) change(made, corpus);
    if (made.size() > bytes_max_) made.resize(bytes_max_);
    return made;
  }

 private:
  const input& pick(const std::vector<input>& corpus) {
    return corpus[random_.below(corpus.size())];
  }
  std::size_t place(const input& data) { return random_.below(data.size() + 1); }

  void insert(input& data, const std::uint8_t* bytes, std::size_t count) {
    data.insert(data.begin() + static_cast<std::ptrdiff_t>(place(data)), bytes, bytes + count);
  }

  void change(input& data, const std::vector<input>& corpus) {
    if (data.empty()) data.push_back(static_cast<std::uint8_t>(random_.next()));
    const std::size_t at = random_.below(data.size());
    const std::size_t rest = data.size() - at;
    switch (random_.below(8)) {
      case 0:
        data[at] ^= static_cast<std::uint8_t>(1U << random_.below(8));
        return;
      case 1:
        data[at] = static_cast<std::uint8_t>(random_.next());
        return;
      case 2:
        data.resize(at);
        return;
      case 3: {
        const auto count = static_cast<std::ptrdiff_t>(1 + random_.below(rest));
        const auto from = data.begin() + static_cast<std::ptrdiff_t>(at);
        data.erase(from, from + count);
        return;
      }
      case 4: {
        const input piece(data.begin() + static_cast<std::ptrdiff_t>(at), data.end());
        insert(data, piece.data(), 1 + random_.below(piece.size()));
        return;
      }
      case 5: {
        const std::uint64_t value = edges[random_.below(std::size(edges))];
        const std::size_t width = std::min<std::size_t>(std::size_t{1} << random_.below(4), rest);
        std::memcpy(data.data() + at, &value, width);
        return;
      }
      case 6: {
        const std::string_view word = words[random_.below(std::size(words))];
        const input bytes(word.begin(), word.end());
        insert(data, bytes.data(), bytes.size());
        return;
      }
      default: {
        if (corpus.empty()) return;
        const input& other = pick(corpus);
        if (!other.empty()) insert(data, other.data(), 1 + random_.below(other.size()));
        return;
      }
    }
  }

  tandem::prng random_;
  std::size_t bytes_max_;
};

std::uint64_t number(const char* text) {
  char* end = nullptr;
  const std::uint64_t value = std::strtoull(text, &end, 0);
  if (end == text || *end != '\0') {
    std::fprintf(stderr, "not a number: %s\n", text);
    std::exit(2);
  }
  return value;
}

arguments parse(int argc, char** argv) {
  arguments given;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--seconds" && has_value) {
      given.seconds = static_cast<unsigned>(number(argv[++i]));
    } else if (word == "--seed" && has_value) {
      given.seed = number(argv[++i]);
    } else if (word == "--max-bytes" && has_value) {
      given.bytes_max = std::max<std::uint64_t>(number(argv[++i]), 1);
    } else if (word.starts_with("-")) {
      std::fprintf(stderr, "usage: %s [--seconds N] [--seed S] [--max-bytes B] FILE-OR-FOLDER...\n",
                   argv[0]);
      std::exit(2);
    } else {
      given.corpus.emplace_back(word);
    }
  }
  return given;
}

}  // namespace

int main(int argc, char** argv) {
  arguments given = parse(argc, argv);
  const std::vector<input> corpus = read_corpus(given);
  for (const input& one : corpus) given.bytes_max = std::max(given.bytes_max, one.size());

  const std::string program = std::filesystem::path(argv[0]).filename();
  crash_file file(program, given.bytes_max);
  current = &file;
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) {
    std::signal(number, on_signal);
  }
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(on_sanitizer_death);

  std::uint64_t executions = 0;
  const auto run = [&](const input& data) {
    file.hold(data);
    ::alarm(20);  // an input that hangs is a finding too
    LLVMFuzzerTestOneInput(data.data(), data.size());
    ++executions;
  };

  for (const input& one : corpus) run(one);
  mutator mutate(given.seed, given.bytes_max);
  const auto start = std::chrono::steady_clock::now();
  const auto end = start + std::chrono::seconds(given.seconds);
  while (std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 64; ++i) run(mutate.next(corpus));
  }
  file.remove();
  std::printf("%s: %llu executions (%zu corpus files) in %u s, seed %llu, no crash\n",
              program.c_str(), static_cast<unsigned long long>(executions), corpus.size(),
              given.seconds, static_cast<unsigned long long>(given.seed));
  return 0;
}
