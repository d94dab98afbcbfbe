#include "proxy/backend_watcher.h"

#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "proxy/clock.h"

namespace tandem::proxy {
namespace {

constexpr std::size_t log_read_size = std::size_t{64} << 10;
constexpr std::size_t log_line_max = 4096;
constexpr std::chrono::seconds look_interval{1};
constexpr std::chrono::milliseconds read_pause{50};

}  // namespace

backend_watcher::backend_watcher(asio::io_context& context, backend_pool& pool,
                                 service::sidecar& data, std::uint64_t secret)
    : pool_(pool),
      data_(data),
      secret_(secret),
      line_(context, pool.options()),
      next_(context),
      pause_(context) {}

void backend_watcher::start() {
  if (!pool_.options().watch_writes || std::exchange(runs_, true)) return;
  accepted_ = false;
  told_ = 0;
  changes_ = std::make_unique<backend::bypass_watch>(++secret_, pool_.lanes().size());
  line_.open([this](const std::string& why) { ask(why); });
}

void backend_watcher::stop() {
  if (!std::exchange(runs_, false)) return;
  line_.close();
  next_.cancel();
  pause_.cancel();
  pool_.watching(false);
}

void backend_watcher::ask(const std::string& why) {
  if (!why.empty()) return fail(why);
  const std::string unsent =
      line_.send(pool_.logs_deletions() ? "watch mutations deletions\r\n" : "watch mutations\r\n");
  if (!unsent.empty()) return fail(unsent);
  read();
}

void backend_watcher::read() {
  line_.read(log_read_size, [this](std::size_t bytes, const std::string& why) {
    if (!why.empty()) return fail(why);
    if (take_lines()) read_later(bytes);
  });
}

// memcached tells what there is every millisecond; that is not worth waking up for.
void backend_watcher::read_later(std::size_t received) {
  if (!accepted_ || received > log_read_size / 2) return read();
  pause_.start(read_pause, [this] { read(); });
}

// False: it does not go on.
bool backend_watcher::take_lines() {
  const instant at = now();
  byte_buffer& in = line_.received();
  while (true) {
    const std::string_view text = in.view();
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      if (text.size() <= log_line_max) return true;
      fail("a line without an end");
      return false;
    }
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (accepted_) {
      changes_->heard(backend::read_log_line(line), at);
    } else if (line == "OK") {
      accepted_ = true;
      pool_.watching(true);
      probe();
      look_later();
    } else {
      // It will say the same the next time: its `-W`, or too many watchers.
      spdlog::warn(
          "backend: it shows nobody what changes in it, so writes that go round this "
          "process are not noticed: {}",
          line);
      line_.close();
      return false;
    }
    in.consume(end + 1);
  }
}

void backend_watcher::fail(const std::string& why) {
  spdlog::debug("backend: watching it: {}", why);
  stop();
  runs_ = true;
  next_.start(pool_.options().reconnect_delay, [this] {
    runs_ = false;
    start();
  });
}

void backend_watcher::look_later() {
  next_.start(look_interval, [this] { look(); });
}

void backend_watcher::look() {
  const instant at = now();
  if (!changes_->knows_all()) probe();
  changes_->look(at, [&](const std::string& key) { return data_.held(key, at); });
  const std::uint64_t bypassed = changes_->bypassed();
  const std::uint64_t fresh = bypassed - std::exchange(told_, bypassed);
  pool_.bypassed(fresh);
  unsaid_ += fresh;
  if (unsaid_ != 0 && warnings_.now())
    spdlog::warn(
        "backend: {} writes went round this process: they are not replicated. A UNIX socket that "
        "this process alone may open prevents them",
        std::exchange(unsaid_, 0));
  look_later();
}

// By each lane, so that its own lines are told from those of others.
void backend_watcher::probe() {
  for (std::size_t i = 0; i < pool_.lanes().size(); ++i) {
    backend::lane::access with(pool_.lanes().at(i));
    if (!with.up()) continue;
    with.out().append(backend::probe_request(backend::probe_key(secret_, i)));
    backend::expected e;
    e.reply.how = backend::treatment::nothing;
    with.add(e, {});
  }
}

}  // namespace tandem::proxy
