// The meta commands. What they answer is memcached 1.6.45's to the byte; what they change (marks,
// created items, CAS uniques of the client's choice, expiries) is journaled like any other change.
//
// Two rules of ours: an item once stored through a base64 key stays marked so, whatever changes it
// (its key may hold what a reply line cannot), and md leaves a tombstone even where nothing is seen
// here: what was evicted here may still live at the peer.
//
// One thread at a time (the worker of the connection).
#pragma once

#include "common/protocol/meta_reply.h"
#include "common/service/executor.h"

namespace tandem::service {

void meta_get(execution& with, const command& r);
void meta_delete(execution& with, const command& r);
void meta_arithmetic(execution& with, const command& r);
void meta_debug(execution& with, const command& r);

// --- what they share -----------------------------------------------------------------------------

// The mark that an item gets which is stored with this command's key.
inline std::uint8_t key_mark(const protocol::request& r) {
  return r.meta.has('b') ? engine::mark::binary_key : std::uint8_t{0};
}

// E; nothing: it was not given.
inline store::own_cas wanted_cas(const protocol::request& r) {
  return r.meta.has('E') ? store::own_cas(r.meta.unique) : std::nullopt;
}

// The Unix second that one of a request's exptimes means.
std::uint32_t exptime_at(const execution& with, std::int32_t exptime);

// Writes what is returned in every case, O and k, if `word` is one of them.
inline void echo(protocol::meta_line& line, std::string_view word, std::string_view key,
                 bool binary) {
  if (word.front() == 'O') line.opaque(word);
  if (word.front() == 'k') line.key(key, binary);
}

// A status and what is returned in every case.
void answer_status(execution& with, const command& r, const hashed_key& key,
                   std::string_view status);

}  // namespace tandem::service
