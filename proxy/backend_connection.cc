#include "proxy/backend_connection.h"

#include <algorithm>
#include <array>
#include <utility>

#include "proxy/clock.h"

namespace tandem::proxy {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds watch_interval_min{5};
constexpr int looks_per_timeout = 4;
constexpr int stalled_timeouts = 60;
constexpr std::string_view greeting = "version\r\n";
constexpr std::string_view greeted = "VERSION ";
constexpr std::size_t greeting_max = 256;

}  // namespace

void reply_round::settle() {
  // A sink may be gone once it was told.
  std::sort(given_.begin(), given_.end());
  given_.erase(std::unique(given_.begin(), given_.end()), given_.end());
  for (backend::reply_sink* const each : given_) each->settled();
  given_.clear();
}

backend_connection::backend_connection(asio::io_context& context, backend_pool& pool,
                                       backend::lane& requests, mailer mail)
    : context_(context),
      pool_(pool),
      lane_(requests),
      mail_(std::move(mail)),
      socket_(context),
      dialer_(context, pool.options()),
      timer_(context),
      watch_(context) {
  lane_.set_waker(*this);
}

void backend_connection::start() {
  connect();
}

void backend_connection::stop() {
  if (stage_ == stage::stopped) return;
  dialer_.cancel();
  (void)hang_up();
  stage_ = stage::stopped;
}

// --- connecting ----------------------------------------------------------------------------------

void backend_connection::connect() {
  ++attempt_;
  stage_ = stage::connecting;
  dialer_.start([this, attempt = attempt_](tcp_socket socket, const std::string& why) {
    if (current(attempt)) connected(std::move(socket), why);
  });
}

void backend_connection::connected(tcp_socket socket, const std::string& why) {
  if (!why.empty()) return fail(why);
  socket_ = std::move(socket);
  greet();
}

// A socket may be open although nobody is behind it: it counts when it has answered.
void backend_connection::greet() {
  stage_ = stage::greeting;
  greeting_.clear();
  error_code ec;
  socket_.write_some(asio::buffer(greeting), ec);
  if (ec) return fail(ec.message());
  timer_.expires_after(pool_.options().timeout);
  timer_.async_wait([this, attempt = attempt_](error_code aborted) {
    if (!aborted && current(attempt) && stage_ == stage::greeting) fail("it does not answer");
  });
  read_greeting();
}

void backend_connection::read_greeting() {
  socket_.async_wait(tcp_socket::wait_read, [this, attempt = attempt_](error_code ec) {
    if (!current(attempt)) return;
    std::array<char, greeting_max> room{};
    const std::size_t n = ec ? 0 : socket_.read_some(asio::buffer(room), ec);
    if (ec == asio::error::would_block) return read_greeting();
    if (ec) return fail(ec.message());
    greeting_.append(room.data(), n);
    if (greeting_.find('\n') == std::string::npos && greeting_.size() < greeting_max)
      return read_greeting();
    if (!greeting_.starts_with(greeted) || !greeting_.ends_with("\r\n"))
      return fail("it is no memcached");
    version_ = greeting_.substr(greeted.size(), greeting_.size() - greeted.size() - 2);
    open();
    read();
  });
}

void backend_connection::open() {
  timer_.cancel();
  stage_ = stage::open;
  lane_.open(pool_.opened(version_));
  pool_.ready();
  if (pool_.follower() != nullptr) pool_.follower()->opened();
}

// What was sent may still be executed, and must not be overtaken by what others send.
void backend_connection::stall() {
  stage_ = stage::stalled;
  std::size_t unanswered = 0;
  lane_.stall([&](backend::expected& e, std::string_view key) {
    ++unanswered;
    answer(e, key, {});
  });
  settle();
  pool_.lost("it does not answer", unanswered);
  timer_.expires_after(pool_.options().timeout * stalled_timeouts);
  timer_.async_wait([this, attempt = attempt_](error_code ec) {
    if (!ec && current(attempt) && stage_ == stage::stalled) fail("it never answered");
  });
}

// Returns how many requests had no answer.
std::size_t backend_connection::hang_up() {
  std::size_t unanswered = 0;
  ++attempt_;
  stage_ = stage::idle;
  error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
  lane_.close([&](backend::expected& e, std::string_view key) {
    ++unanswered;
    answer(e, key, {});
  });
  settle();
  sending_.consume(sending_.size());
  waits_to_send_ = watching_ = false;
  watch_.cancel();
  return unanswered;
}

void backend_connection::fail(const std::string& why) {
  const bool was_open = stage_ == stage::open;
  const std::size_t unanswered = hang_up();
  if (was_open)
    pool_.lost(why, unanswered);
  else
    pool_.failed(why);
  connect_later();
}

void backend_connection::connect_later() {
  timer_.expires_after(pool_.options().reconnect_delay);
  timer_.async_wait([this, attempt = attempt_](error_code ec) {
    if (!ec && current(attempt)) connect();
  });
}

// --- requests and replies ------------------------------------------------------------------------

// Behind the sessions that are ready now, so that their requests go out together.
void backend_connection::wanted() {
  asio::post(context_, [this] { send_if_open(); });
}

void backend_connection::send_if_open() {
  if (stage_ == stage::open && !waits_to_send_) send();
}

void backend_connection::send() {
  while (true) {
    if (sending_.empty()) lane_.take_output(sending_);
    if (sending_.empty()) return;
    watch();
    error_code ec;
    const std::size_t n = socket_.write_some(asio::buffer(sending_.view()), ec);
    if (ec == asio::error::would_block) return wait_to_send();
    if (ec) return fail(ec.message());
    sending_.consume(n);
  }
}

void backend_connection::wait_to_send() {
  waits_to_send_ = true;
  socket_.async_wait(tcp_socket::wait_write, [this, attempt = attempt_](error_code) {
    if (!current(attempt)) return;
    waits_to_send_ = false;
    send();
  });
}

void backend_connection::read() {
  const std::span<char> room = lane_.prepare();
  socket_.async_read_some(
      asio::buffer(room.data(), room.size()),
      [this, attempt = attempt_](error_code ec, std::size_t n) {
        if (!current(attempt)) return;
        if (ec) return fail(ec == asio::error::eof ? "it has closed it" : ec.message());
        const bool good =
            lane_.received(n, [this](backend::expected& e, std::string_view key,
                                     std::string_view reply) { answer(e, key, reply); });
        settle();
        if (!good) return fail("it sent what was not asked for");
        if (stage_ == stage::stalled && sending_.empty() && lane_.drained()) open();
        read();
        send_if_open();
      });
}

void backend_connection::answer(backend::expected& to, std::string_view key,
                                std::string_view reply) {
  const bool changes =
      to.reply.what != backend::change::none || to.what == protocol::verb::flush_all;
  if (changes && pool_.follower() != nullptr)
    journaled_ |= pool_.follower()->record(to, key, reply, now());
  give(to, reply);
}

void backend_connection::give(const backend::expected& to, std::string_view reply) {
  if (to.who == nullptr) return;
  if (to.home == lane_.home()) return round_.give(to, reply);
  if (mail_to_.size() <= to.home) mail_to_.resize(to.home + std::size_t{1});
  mail_to_[to.home].push_back({to, std::string(reply)});
}

void backend_connection::settle() {
  if (std::exchange(journaled_, false)) pool_.journaled();
  if (pool_.follower() != nullptr) pool_.follower()->retry(lane_.home(), now());
  round_.settle();
  for (std::size_t home = 0; home < mail_to_.size(); ++home)
    if (!mail_to_[home].empty())
      mail_(static_cast<std::uint16_t>(home), std::exchange(mail_to_[home], {}));
}

// One timer for all requests: as long as replies come, none is late.
void backend_connection::watch() {
  if (std::exchange(watching_, true)) return;
  seen_answered_ = lane_.answered();
  answered_at_ = now().steady;
  const milliseconds timeout = pool_.options().timeout;
  watch_.expires_after(std::max(timeout / looks_per_timeout, watch_interval_min));
  watch_.async_wait([this, timeout, attempt = attempt_](error_code ec) {
    if (ec || !current(attempt)) return;
    watching_ = false;
    if (stage_ != stage::open || !lane_.waiting()) return;
    const steady_time since = answered_at_;
    const bool stuck = lane_.answered() == seen_answered_;
    if (stuck && now().steady - since >= timeout) return stall();
    watch();
    if (stuck) answered_at_ = since;
  });
}

}  // namespace tandem::proxy
