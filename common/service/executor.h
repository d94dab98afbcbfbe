// A request on the data: what memcached's commands mean here. Every command takes its key's shard
// lock once and decides and acts under it. Storage commands are in storage.h, `stats` in stats.h.
// One thread at a time (the worker of the connection).
#pragma once

#include <string_view>

#include "common/base/time.h"
#include "common/protocol/request.h"
#include "common/service/output.h"
#include "common/service/server.h"
#include "common/service/store.h"

namespace tandem::service {

// A request and its key's hash, computed once. A retrieval has the first of its keys here.
struct command : protocol::request {
  std::uint64_t hash = 0;

  hashed_key hashed() const { return {key, hash}; }
};

// What a request runs with; outlives it.
struct execution {
  store& data;
  worker_statistics& counts;
  server& host;
  output_queue& out;
  instant now;
  bool& mutated;   // set when something was journaled
  int client = 0;  // its name in `watch` and `stats conns`

  void answer(const protocol::request& r, std::string_view line) {
    if (!r.noreply) out.append(line);
  }
};

// get gets gat gats, for one of the keys (at most key_size_max bytes): its VALUE if it is there.
void retrieve(execution& with, const command& r, const hashed_key& key);

// `shutdown`: whether the process was asked to end, so that the connection closes without an
// answer.
[[nodiscard]] bool shut_down(execution& with, const protocol::request& r);

// Every request but retrievals, storage commands and those that change what the connection is at.
void execute(execution& with, const command& r);

}  // namespace tandem::service
