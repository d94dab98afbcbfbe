// A request on the data: what memcached's commands mean here. Every command takes its key's shard
// lock once and decides and acts under it. Storage commands are in storage.h, the meta commands in
// meta.h, `stats` in stats.h.
// One thread at a time (the worker of the connection).
#pragma once

#include <string_view>

#include "common/base/time.h"
#include "common/protocol/base64.h"
#include "common/protocol/request.h"
#include "common/service/held_replies.h"
#include "common/service/output.h"
#include "common/service/server.h"
#include "common/service/store.h"

namespace tandem::service {

// A request and its key's hash, computed once: of the key that is meant, not of its base64. A
// retrieval has the first of its keys here.
struct command : protocol::request {
  std::uint64_t hash = 0;
};

// The key that a command means: as it was sent, or decoded (into here) from base64.
class command_key {
 public:
  explicit command_key(const command& r) noexcept : key_(r.key, r.hash) {
    if (r.meta.has('b')) key_.key = {room_, protocol::decode_base64(room_, r.key)};
  }
  command_key(const command_key&) = delete;
  command_key& operator=(const command_key&) = delete;
  operator const hashed_key&() const noexcept { return key_; }

 private:
  hashed_key key_;
  char room_[protocol::base64_decoded_max(protocol::key_size_max)];
};

// What a request runs with; outlives it.
struct execution {
  store& data;
  worker_statistics& counts;
  server& host;
  output_queue& out;
  instant now;
  bool& mutated;                   // set when something was journaled
  int client = 0;                  // its name in `watch` and `stats conns`
  ack_tickets* tickets = nullptr;  // null: nobody waits for what the peer confirms

  // The command has journaled something; the shard of its key is still locked.
  void changed(const protocol::request& r, const store::locked& shard) {
    changed(r, tickets == nullptr ? ack_ticket{} : shard.ticket());
  }
  void changed(const protocol::request& r, const ack_ticket& ticket) {
    mutated = true;
    if (tickets != nullptr && (!r.noreply || tickets->all)) tickets->list.push_back(ticket);
  }

  void answer(const protocol::request& r, std::string_view line) {
    if (!r.noreply) out.append(line);
  }
};

// Sends what was written from `start` to `end`, which is the last room that was reserved in `out`
// and has room for a value that is not large, and then the item's value and CR LF.
void append_block(output_queue& out, char* start, char* end, const engine::item_view& item);

// get gets gat gats, for one of the keys (at most key_size_max bytes): its VALUE if it is there.
void retrieve(execution& with, const command& r, const hashed_key& key);

// `shutdown`: whether the process was asked to end, so that the connection closes without an
// answer.
[[nodiscard]] bool shut_down(execution& with, const protocol::request& r);

// Every request but retrievals, storage commands and those that change what the connection is at.
void execute(execution& with, const command& r);

}  // namespace tandem::service
