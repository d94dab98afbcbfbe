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
    : pool_(pool), data_(data), line_(context, pool.options()), wait_(context) {
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
  line_.close();
  wait_.cancel();
}

void backend_clock::connect() {
  line_.open([this](const std::string& why) {
    if (!why.empty()) return fail(why);
    ask();
  });
}

void backend_clock::ask() {
  asked_ = now().wall;
  if (const std::string why = line_.send(request); !why.empty()) return fail(why);
  wait_.start(pool_.options().timeout, [this] { fail("it does not tell the time"); });
  read();
}

void backend_clock::read() {
  line_.read(read_size, [this](std::size_t, const std::string& why) {
    if (!why.empty()) return fail(why);
    byte_buffer& in = line_.received();
    if (!in.view().ends_with(reply_end)) {
      if (in.size() > reply_max) return fail("it does not end");
      return read();
    }
    const auto what = backend::read_stats(in.view());
    in.consume(in.size());
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
  wait_.start(pause, [this] { ask(); });
}

void backend_clock::fail(const std::string& why) {
  spdlog::debug("backend: its clock: {}", why);
  line_.close();
  if (now().steady >= settles_at_) settle();
  wait_.start(pool_.options().reconnect_delay, [this] { connect(); });
}

}  // namespace tandem::proxy
