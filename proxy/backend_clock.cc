#include "proxy/backend_clock.h"

#include <string_view>
#include <utility>

#include "proxy/clock.h"
#include "proxy/log.h"

namespace tandem::proxy {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view request = "stats\r\n", reply_end = "END\r\n";
constexpr std::size_t read_size = std::size_t{16} << 10;
constexpr std::size_t reply_max = std::size_t{256} << 10;
// A few of these are within what is precise.
constexpr milliseconds measuring_pause{25};
// Longer than a tick and two measuring pauses.
constexpr milliseconds measuring_max{2500};
constexpr std::chrono::seconds checking_pause{10};

}  // namespace

backend_clock::backend_clock(asio::io_context& context, backend_pool& pool, service::sidecar& data)
    : context_(context),
      pool_(pool),
      data_(data),
      socket_(context),
      dialer_(context, pool.options()),
      timer_(context) {
  pool_.lanes().clock().settle(false);
}

bool backend_clock::can_list() const noexcept {
  return pool_.lanes().clock().settled() || (last_ && (last_->items == 0 || known_));
}

// Another process counts by another beat, and so does one that was stopped for a while.
void backend_clock::start() {
  if (std::exchange(runs_, true)) return;
  pool_.lanes().clock().settle(false);
  meter_.restart();
  last_.reset();
  settles_at_ = now().steady + measuring_max;
  connect();
}

void backend_clock::stop() {
  if (!std::exchange(runs_, false)) return;
  ++attempt_;
  dialer_.cancel();
  timer_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

void backend_clock::connect() {
  ++attempt_;
  in_.consume(in_.size());
  dialer_.start([this, attempt = attempt_](tcp_socket socket, const std::string& why) {
    if (attempt != attempt_) return;
    if (!why.empty()) return fail(why);
    socket_ = std::move(socket);
    ask();
  });
}

void backend_clock::ask() {
  asked_ = now().wall;
  error_code ec;
  socket_.write_some(asio::buffer(request), ec);
  if (ec) return fail(ec.message());
  timer_.expires_after(pool_.options().timeout);
  timer_.async_wait([this, attempt = attempt_](error_code aborted) {
    if (!aborted && attempt == attempt_) fail("it does not tell the time");
  });
  read();
}

void backend_clock::read() {
  const std::span<char> room = in_.reserve(read_size);
  socket_.async_read_some(asio::buffer(room.data(), room.size()),
                          [this, attempt = attempt_](error_code ec, std::size_t n) {
                            if (attempt != attempt_) return;
                            if (ec) return fail(ec.message());
                            in_.commit(n);
                            if (!in_.view().ends_with(reply_end)) {
                              if (in_.size() > reply_max) return fail("it does not end");
                              return read();
                            }
                            const auto what = backend::read_stats(in_.view());
                            in_.consume(in_.size());
                            if (!what) return fail("it does not tell the time");
                            heard(*what);
                          });
}

void backend_clock::heard(const backend::process_reading& what) {
  const instant at = now();
  backend::clock& clock = pool_.lanes().clock();
  if (!last_) known_ = what.pid == pid_;
  last_ = what;
  meter_.heard(what.second, asked_, at.wall);
  // What was known is better than what is not precise.
  if (meter_.is_precise() || !known_) clock.set(meter_.behind());
  if (meter_.is_precise()) {
    pid_ = what.pid;
    known_ = true;
    settle();
    checks_late_ = !checks_late_;
    return ask_later(meter_.until_check(at.wall, checking_pause,
                                        checks_late_ ? backend::clock_meter::suspicion::late
                                                     : backend::clock_meter::suspicion::early));
  }
  if (at.steady >= settles_at_) settle();
  ask_later(measuring_pause);
}

void backend_clock::settle() {
  backend::clock& clock = pool_.lanes().clock();
  if (clock.settled()) return;
  clock.settle(true);
  data_.clock_settled(now());
}

void backend_clock::ask_later(std::chrono::microseconds pause) {
  timer_.expires_after(pause);
  timer_.async_wait([this, attempt = attempt_](error_code ec) {
    if (!ec && attempt == attempt_) ask();
  });
}

void backend_clock::fail(const std::string& why) {
  spdlog::debug("backend: its clock: {}", why);
  ++attempt_;
  error_code ignored;
  socket_.close(ignored);
  if (now().steady >= settles_at_) settle();
  timer_.expires_after(pool_.options().reconnect_delay);
  timer_.async_wait([this, attempt = attempt_](error_code ec) {
    if (!ec && attempt == attempt_) connect();
  });
}

}  // namespace tandem::proxy
