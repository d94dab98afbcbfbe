// What is executed at the backend for the peer's clients, and the certainty that nothing of any
// client's is under way there. Belongs to the link's thread, which has a number of its own among
// those that replies are for.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string_view>
#include <vector>

#include "common/backend/lane.h"
#include "common/service/peer_request.h"
#include "proxy/backend_pool.h"

namespace tandem::proxy {

class backend_executor {
 public:
  // Runs a call in the link's thread.
  using poster = std::function<void(std::function<void()>)>;
  using handler = std::function<void(service::peer_request::result)>;

  // Everything outlives this; `home`: the link thread's number.
  backend_executor(service::store& data, service::worker_statistics& statistics,
                   service::server& host, backend::lanes& lanes, std::uint16_t home, poster post);
  ~backend_executor();

  // `done` is called once, in this call or a later one.
  void execute(std::string_view request, handler done);
  // `done` is called when what was given to the backend before is answered.
  void fence(std::function<void()> done);

  // Any thread.
  void mail(std::vector<backend_mail> replies);

 private:
  class execution;
  class barrier;

  void finished(const execution& which);
  void raise_barriers();

  service::store& data_;
  service::worker_statistics& statistics_;
  service::server& host_;
  backend::lanes& lanes_;
  const std::uint16_t home_;
  const poster post_;
  std::list<std::unique_ptr<execution>> executions_;
  std::vector<std::function<void()>> fences_;  // wait for the executions
  std::list<std::unique_ptr<barrier>> barriers_;
};

}  // namespace tandem::proxy
