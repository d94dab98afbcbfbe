// Whether the memcached that keeps the data can be built on: when all its connections are open it
// is asked what it holds, and then the node may take part; when one is lost the node starts anew,
// for nobody knows what became of the data. The control thread's, but for what is marked.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "common/service/sidecar.h"
#include "proxy/asio.h"
#include "proxy/backend_clock.h"
#include "proxy/backend_line.h"
#include "proxy/backend_pool.h"

namespace tandem::proxy {

class backend_keeper {
 public:
  // `ready`: what the backend holds is in the index, as of that number of losses; `lost`: forget
  // all of it. They alternate. The rest outlives the keeper.
  backend_keeper(asio::io_context& context, backend_pool& pool, service::sidecar& data,
                 std::function<void(std::uint64_t losses)> ready, std::function<void()> lost);

  // A connection was opened or lost. Any thread.
  void changed();
  // All is forgotten. Any thread, once after each call of `lost`.
  void rested();

 private:
  enum class stage : std::uint8_t { down, listing, ready, resting };

  void look();
  void look_later(std::chrono::milliseconds pause);
  void list();
  void ask(const std::string& why);
  void read();
  bool take_lines();
  void finish(const std::string& why);

  asio::io_context& context_;
  backend_pool& pool_;
  service::sidecar& data_;
  const std::function<void(std::uint64_t)> ready_;
  const std::function<void()> lost_;
  stage stage_ = stage::down;
  std::uint64_t losses_ = 0;
  backend_line line_;
  backend_clock clock_;
  single_wait wait_;
  std::uint64_t found_ = 0;
  bool ended_ = false;
};

}  // namespace tandem::proxy
