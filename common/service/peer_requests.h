// Executes what clients of the peer asked for, because this node is the master: by the very code
// that serves clients here. One thread at a time (the link's).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/time.h"
#include "common/replication/routing.h"
#include "common/service/server.h"
#include "common/service/store.h"

namespace tandem::service {

class peer_requests {
 public:
  // Everything outlives this. The statistics are of this thread only.
  peer_requests(store& data, worker_statistics& statistics, server& host)
      : data_(data), statistics_(statistics), host_(host) {}

  struct result {
    std::string replies;  // cut off a little above replication::forward_bytes_max
    std::vector<replication::mutation_mark> marks;  // what the request has changed
  };
  // One or more whole commands; of the last one what is missing is never executed.
  result execute(std::string_view request, instant now);

 private:
  store& data_;
  worker_statistics& statistics_;
  server& host_;
};

}  // namespace tandem::service
