// Executes what clients of the peer asked for, because this node is the master or the peer has no
// data of its own: by the very code that serves clients here. One thread at a time (the link's).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/time.h"
#include "common/replication/routing.h"
#include "common/service/connection.h"
#include "common/service/server.h"
#include "common/service/store.h"

namespace tandem::service {

// One or more whole commands; of the last one what is missing is never executed.
class peer_request {
 public:
  // Everything outlives this. The statistics are of this thread only.
  peer_request(store& data, worker_statistics& statistics, server& host);

  // The data is with a backend, as in connection::relay_to(). Before start(). It must not end
  // before it is done().
  void relay_to(backend::lanes& lanes, backend::reply_sink& sink, std::uint16_t home) {
    executes_.relay_to(lanes, sink, home);
  }
  void answered(const backend::expected& to, std::string_view reply, instant now) {
    executes_.answered(to, reply, now);
  }

  void start(std::string_view request, instant now);
  // Replies of the backend have come.
  void go_on(instant now);
  bool done() const noexcept { return !executes_.relays(); }

  struct result {
    std::string replies;  // cut off a little above replication::forward_bytes_max
    std::vector<replication::mutation_mark> marks;  // what the request has changed
  };
  // Once it is done.
  result take();

 private:
  void take_replies();

  connection executes_;
  std::string replies_;
};

// Of data that is here.
peer_request::result execute_for_peer(store& data, worker_statistics& statistics, server& host,
                                      std::string_view request, instant now);

}  // namespace tandem::service
