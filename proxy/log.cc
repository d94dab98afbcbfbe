#include "proxy/log.h"

#include <fcntl.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "proxy/start_error.h"

namespace tandem::proxy {
namespace {

int open_for_append(const std::string& file) noexcept {
  return ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

// One write() per line, so that lines of several processes or threads never mix. What cannot be
// written is lost: the log must not stop the cache.
class line_sink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit line_sink(std::string file) : file_(std::move(file)) {
    if (file_.empty()) return;
    descriptor_ = open_for_append(file_);
    if (descriptor_ < 0) throw start_error::from_errno("log file " + file_);
  }
  ~line_sink() override {
    if (!file_.empty()) ::close(descriptor_);
  }

  bool reopen() {
    const std::lock_guard guard(mutex_);
    if (file_.empty()) return true;
    const int fresh = open_for_append(file_);
    if (fresh < 0) return false;
    ::close(descriptor_);
    descriptor_ = fresh;
    return true;
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    const char* at = line.data();
    for (std::size_t left = line.size(); left > 0;) {
      const ssize_t n = ::write(descriptor_, at, left);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return;
      at += n;
      left -= static_cast<std::size_t>(n);
    }
  }
  void flush_() override {}

  const std::string file_;
  int descriptor_ = STDERR_FILENO;
};

// `%J`: the prefix by which the journal learns a line's priority (syslog's numbers).
class priority_flag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string_view prefix = priority(message.level);
    out.append(prefix.data(), prefix.data() + prefix.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<priority_flag>();
  }

 private:
  static std::string_view priority(spdlog::level::level_enum severity) {
    switch (severity) {
      case spdlog::level::critical:
        return "<2>";
      case spdlog::level::err:
        return "<3>";
      case spdlog::level::warn:
        return "<4>";
      case spdlog::level::info:
        return "<6>";
      default:
        return "<7>";
    }
  }
};

// Whether standard error is the stream that JOURNAL_STREAM names, and not redirected since.
bool stderr_is_journal() {
  // Read in main's thread before any other starts.
  const char* stream = std::getenv("JOURNAL_STREAM");  // NOLINT(concurrency-mt-unsafe)
  struct stat status {};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return false;
  return std::to_string(status.st_dev) + ':' + std::to_string(status.st_ino) == stream;
}

std::shared_ptr<line_sink> the_sink;
std::atomic<int> the_verbosity{0};

}  // namespace

void open_log(const std::string& file, int verbosity) {
  the_sink = std::make_shared<line_sink>(file);
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<priority_flag>('J');
  formatter->set_pattern(file.empty() && stderr_is_journal() ? "%J%v"
                                                             : "%Y-%m-%dT%H:%M:%S.%e%z %l: %v");
  auto logger = std::make_shared<spdlog::logger>("memtandem", the_sink);
  logger->set_formatter(std::move(formatter));
  spdlog::set_default_logger(std::move(logger));
  set_log_verbosity(verbosity);
}

void reopen_log() {
  if (!the_sink->reopen())
    spdlog::error("the log file cannot be opened again: {}; going on with the old one",
                  std::generic_category().message(errno));
}

void set_log_verbosity(int verbosity) {
  the_verbosity.store(verbosity, std::memory_order_relaxed);
  spdlog::set_level(verbosity <= 0   ? spdlog::level::info
                    : verbosity == 1 ? spdlog::level::debug
                                     : spdlog::level::trace);
}

int log_verbosity() noexcept {
  return the_verbosity.load(std::memory_order_relaxed);
}

void log_note(replication::effect::level severity, std::string text) {
  // It may quote the peer, which must not write lines of its own.
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  switch (severity) {
    case replication::effect::level::debug:
      spdlog::debug("{}", text);
      return;
    case replication::effect::level::info:
      spdlog::info("{}", text);
      return;
    case replication::effect::level::warning:
      spdlog::warn("{}", text);
      return;
    case replication::effect::level::error:
      spdlog::error("{}", text);
      return;
  }
}

}  // namespace tandem::proxy
