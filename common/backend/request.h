// A client's request as the backend is to get it: the same command, or, where the backend lets us
// choose CAS uniques (memcached 1.6.27 and later), the meta command that stores the same with the
// unique that it is given. Quiet requests are sent aloud: every request has exactly one reply, and
// what the client does not want of it is left out here (reply.h). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/backend/reply.h"
#include "common/base/byte_buffer.h"
#include "common/protocol/request.h"

namespace tandem::backend {

// What the reply will be like, and what it may mean.
struct expectation {
  reply_shape shape = reply_shape::line;
  treatment how = treatment::as_is;
  change what = change::none;
  bool joined = false;  // a key behind another on its line
};

// Where nothing is given the backend chooses.
using unique = std::optional<std::uint64_t>;

// set add replace append prepend cas delete incr decr touch ms mg md ma me flush_all: appends it.
// `block`: the value and its CR LF, of those that have one.
expectation write_request(byte_buffer& out, const protocol::request& r, std::string_view block,
                          const unique& cas);

// get gets gat gats of one key; `last`: of the client's command.
expectation write_retrieval(byte_buffer& out, const protocol::request& r, std::string_view key,
                            bool last);
// get gets of one key more, by the line that write_retrieval() left at the end of `out`. memcached
// writes what it has for a line at once, and for each line anew.
expectation join_retrieval(byte_buffer& out, std::string_view key, bool last);

}  // namespace tandem::backend
