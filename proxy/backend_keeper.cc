#include "proxy/backend_keeper.h"

#include <utility>

#include "common/backend/metadump.h"
#include "proxy/clock.h"
#include "proxy/log.h"

namespace tandem::proxy {
namespace {

constexpr std::size_t dump_read_size = std::size_t{64} << 10;
constexpr std::size_t dump_line_max = 4096;
constexpr std::chrono::milliseconds look_pause{5};

}  // namespace

backend_keeper::backend_keeper(asio::io_context& context, backend_pool& pool,
                               service::sidecar& data,
                               std::function<void(std::uint64_t losses)> ready,
                               std::function<void()> lost)
    : context_(context),
      pool_(pool),
      data_(data),
      ready_(std::move(ready)),
      lost_(std::move(lost)),
      line_(context, pool.options()),
      clock_(context, pool, data),
      wait_(context) {}

void backend_keeper::changed() {
  asio::post(context_, [this] { look(); });
}

void backend_keeper::rested() {
  asio::post(context_, [this] {
    stage_ = stage::down;
    look();
  });
}

void backend_keeper::look_later(std::chrono::milliseconds pause) {
  wait_.start(pause, [this] { look(); });
}

void backend_keeper::look() {
  if (const std::uint64_t losses = pool_.losses(); losses != losses_) {
    losses_ = losses;
    line_.close();
    wait_.cancel();
    clock_.stop();
    const stage before = stage_;
    if (before != stage::resting) stage_ = stage::down;
    if (before == stage::ready) {
      stage_ = stage::resting;
      return lost_();
    }
  }
  if (stage_ != stage::down || !pool_.all_open()) return;
  clock_.start();
  if (data_.settle_doubts() && clock_.can_list()) return list();
  look_later(look_pause);
}

void backend_keeper::list() {
  stage_ = stage::listing;
  found_ = 0;
  ended_ = false;
  line_.open([this](const std::string& why) { ask(why); });
}

void backend_keeper::ask(const std::string& why) {
  if (!why.empty()) return finish(why);
  if (const std::string unsent = line_.send(backend::metadump_request); !unsent.empty())
    return finish(unsent);
  read();
}

void backend_keeper::read() {
  wait_.start(pool_.options().timeout, [this] { finish("it does not go on"); });
  line_.read(dump_read_size, [this](std::size_t, const std::string& why) {
    if (!why.empty()) return finish(why);
    if (!take_lines()) return finish("it cannot list its items now");
    if (ended_) return finish("");
    read();
  });
}

// False: it does not list them.
bool backend_keeper::take_lines() {
  const instant at = now();
  byte_buffer& in = line_.received();
  backend::dumped_item item;
  while (!ended_) {
    const std::string_view text = in.view();
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return text.size() <= dump_line_max;
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    switch (backend::read_dump_line(line, item)) {
      case backend::dump_line::item:
        data_.adopt(item, at);
        ++found_;
        break;
      case backend::dump_line::begin:
        break;
      case backend::dump_line::end:
        ended_ = true;
        break;
      case backend::dump_line::later:
      case backend::dump_line::malformed:
        return false;
    }
    in.consume(end + 1);
  }
  return true;
}

// `why` not: it is tried again.
void backend_keeper::finish(const std::string& why) {
  line_.close();
  wait_.cancel();
  if (why.empty()) {
    spdlog::info("backend: it holds {} items", found_);
    stage_ = stage::ready;
    return ready_(losses_);
  }
  spdlog::warn("backend: listing its items: {}", why);
  stage_ = stage::down;
  look_later(pool_.options().reconnect_delay);
}

}  // namespace tandem::proxy
