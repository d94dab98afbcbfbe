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
    : context_(context),
      pool_(pool),
      data_(data),
      secret_(secret),
      socket_(context),
      dialer_(context, pool.options()),
      timer_(context),
      pause_(context) {}

void backend_watcher::start() {
  if (!pool_.options().watch_writes || std::exchange(runs_, true)) return;
  ++attempt_;
  in_.consume(in_.size());
  accepted_ = false;
  told_ = 0;
  changes_ = std::make_unique<backend::bypass_watch>(++secret_, pool_.lanes().size());
  dialer_.start([this, attempt = attempt_](tcp_socket socket, const std::string& why) {
    if (attempt == attempt_) ask(std::move(socket), why);
  });
}

void backend_watcher::stop() {
  if (!std::exchange(runs_, false)) return;
  ++attempt_;
  dialer_.cancel();
  timer_.cancel();
  pause_.cancel();
  error_code ignored;
  socket_.close(ignored);
  pool_.watching(false);
}

void backend_watcher::ask(tcp_socket socket, const std::string& why) {
  if (!why.empty()) return fail(why);
  socket_ = std::move(socket);
  const std::string request =
      pool_.logs_deletions() ? "watch mutations deletions\r\n" : "watch mutations\r\n";
  error_code ec;
  socket_.write_some(asio::buffer(request), ec);
  if (ec) return fail(ec.message());
  read();
}

void backend_watcher::read() {
  const std::span<char> room = in_.reserve(log_read_size);
  socket_.async_read_some(asio::buffer(room.data(), room.size()),
                          [this, attempt = attempt_](error_code ec, std::size_t n) {
                            if (attempt != attempt_) return;
                            if (ec) return fail(ec.message());
                            in_.commit(n);
                            if (take_lines()) read_later(n);
                          });
}

// memcached tells what there is every millisecond; that is not worth waking up for.
void backend_watcher::read_later(std::size_t received) {
  if (!accepted_ || received > log_read_size / 2) return read();
  pause_.expires_after(read_pause);
  pause_.async_wait([this, attempt = attempt_](error_code ec) {
    if (!ec && attempt == attempt_) read();
  });
}

// False: it does not go on.
bool backend_watcher::take_lines() {
  const instant at = now();
  while (true) {
    const std::string_view text = in_.view();
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
      ++attempt_;
      error_code ignored;
      socket_.close(ignored);
      return false;
    }
    in_.consume(end + 1);
  }
}

void backend_watcher::fail(const std::string& why) {
  spdlog::debug("backend: watching it: {}", why);
  stop();
  runs_ = true;
  timer_.expires_after(pool_.options().reconnect_delay);
  timer_.async_wait([this, attempt = attempt_](error_code ec) {
    if (ec || attempt != attempt_) return;
    runs_ = false;
    start();
  });
}

void backend_watcher::look_later() {
  timer_.expires_after(look_interval);
  timer_.async_wait([this, attempt = attempt_](error_code ec) {
    if (!ec && attempt == attempt_) look();
  });
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
