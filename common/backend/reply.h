// What a stock memcached answers: where a reply ends in what has been received, what the client is
// to get of it, and whether it tells of a change. Pure; allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tandem::backend {

// How a reply is built; the request decides it.
enum class reply_shape : std::uint8_t {
  line,    // one line
  values,  // VALUE lines with their data until END, or an error line
  meta,    // one line, with data behind it if that begins with VA
  quiet,   // lines of what has failed until MN, which says that all were looked at
};

// Finds the end of one reply however it arrives in pieces.
class reply_finder {
 public:
  enum class status : std::uint8_t {
    complete,    // size() bytes
    incomplete,  // at least size() bytes will be needed
    malformed,   // this is not memcached's protocol
  };
  // `buffered` starts where the reply starts and grows from call to call.
  status find(std::string_view buffered, reply_shape shape) noexcept;
  // The same for one key of a line that goes on with others: the end of its value, which has no END
  // behind it. Of no size if something else stands there: then there is no value.
  status find_value(std::string_view buffered, std::string_view key) noexcept;
  std::size_t size() const noexcept { return size_; }
  // Forgets the reply found: the next call looks at another.
  void restart() noexcept { begun_ = size_ = 0; }

 private:
  status need(std::size_t bytes) noexcept;
  status finish(std::size_t bytes) noexcept;

  std::size_t begun_ = 0;  // where the line stands that is looked at
  std::size_t size_ = 0;
};

// What the client gets of a reply.
enum class treatment : std::uint8_t {
  as_is,
  values_only,   // of a retrieval with more keys to come: what stands before END
  storage_word,  // ms, where the client sent a classic command
  number,        // ma, where the client sent incr or decr
  quiet_get,     // all but a miss
  quiet,         // all but success
  nothing,       // noreply, or nobody asked
};
// Whether a retrieval's reply is a value, and whose.
bool is_value(std::string_view reply) noexcept;
bool is_value_of(std::string_view key, std::string_view reply) noexcept;

// A part of `reply`, or a constant.
std::string_view for_client(treatment how, std::string_view reply) noexcept;

// What a request may do to its key.
enum class change : std::uint8_t {
  none,
  stored,   // a new state, of whatever kind
  removed,  // none left
  won,      // only if the answer says so: a look that made this client the one to refresh it
};
// Whether the backend's state of the key may be another one than before. A refusal for lack of
// memory counts: what the command was to replace is gone with it.
bool happened(change what, std::string_view reply) noexcept;

}  // namespace tandem::backend
