// The replies of the text protocol, to the byte.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "common/protocol/numbers.h"
#include "common/protocol/request.h"

namespace tandem::protocol {

namespace reply {

constexpr std::string_view crlf = "\r\n";
constexpr std::string_view end = "END\r\n";
constexpr std::string_view stored = "STORED\r\n";
constexpr std::string_view not_stored = "NOT_STORED\r\n";
constexpr std::string_view exists = "EXISTS\r\n";
constexpr std::string_view not_found = "NOT_FOUND\r\n";
constexpr std::string_view deleted = "DELETED\r\n";
constexpr std::string_view touched = "TOUCHED\r\n";
constexpr std::string_view ok = "OK\r\n";
constexpr std::string_view reset = "RESET\r\n";

constexpr std::string_view unknown_command = "ERROR\r\n";
constexpr std::string_view bad_format = "CLIENT_ERROR bad command line format\r\n";
constexpr std::string_view bad_line = "CLIENT_ERROR bad command line\r\n";
constexpr std::string_view bad_delete =
    "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n";
constexpr std::string_view bad_data_chunk = "CLIENT_ERROR bad data chunk\r\n";
constexpr std::string_view bad_exptime = "CLIENT_ERROR invalid exptime argument\r\n";
constexpr std::string_view bad_delta = "CLIENT_ERROR invalid numeric delta argument\r\n";
constexpr std::string_view not_a_number =
    "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n";
constexpr std::string_view illegal_slab_id = "CLIENT_ERROR Illegal slab id\r\n";
constexpr std::string_view detail_usage = "CLIENT_ERROR usage: stats detail on|off|dump\r\n";
constexpr std::string_view invalid_flag = "CLIENT_ERROR invalid flag\r\n";
constexpr std::string_view duplicate_flag = "CLIENT_ERROR duplicate flag\r\n";
constexpr std::string_view invalid_or_duplicate_flag = "CLIENT_ERROR invalid or duplicate flag\r\n";
constexpr std::string_view too_many_flags = "CLIENT_ERROR options flags are too long\r\n";
constexpr std::string_view bad_token = "CLIENT_ERROR bad token in command line format\r\n";
constexpr std::string_view bad_base64_key = "CLIENT_ERROR error decoding key\r\n";
constexpr std::string_view bad_initial_value = "CLIENT_ERROR invalid numeric initial value\r\n";
constexpr std::string_view bad_delta_value = "CLIENT_ERROR invalid numeric delta value\r\n";
constexpr std::string_view bad_set_mode = "CLIENT_ERROR invalid mode for ms M token\r\n";
constexpr std::string_view bad_arithmetic_mode = "CLIENT_ERROR invalid mode for ma M token\r\n";
constexpr std::string_view opaque_too_long = "CLIENT_ERROR opaque token too long\r\n";
constexpr std::string_view meta_noop = "MN\r\n";
constexpr std::string_view meta_miss = "EN\r\n";

constexpr std::string_view too_large = "SERVER_ERROR object too large for cache\r\n";
constexpr std::string_view no_room = "SERVER_ERROR out of memory storing object\r\n";
constexpr std::string_view no_room_for_item = "SERVER_ERROR Out of memory allocating new item\r\n";
constexpr std::string_view no_room_for_number = "SERVER_ERROR out of memory\r\n";
// A mutation is done here, but the peer is not known to have it (replication.ack).
constexpr std::string_view not_confirmed = "SERVER_ERROR the peer has not confirmed it in time\r\n";
constexpr std::string_view no_peer = "SERVER_ERROR no peer to confirm it\r\n";
// A command is for the master to execute (replication.writes, replication.while_syncing).
constexpr std::string_view no_master = "SERVER_ERROR the master is out of reach\r\n";
constexpr std::string_view no_answer = "SERVER_ERROR no answer from the master\r\n";
constexpr std::string_view too_large_to_forward =
    "SERVER_ERROR object too large to be sent to the master\r\n";
// The data is in a memcached beside this process (cache.engine), which does not answer.
constexpr std::string_view no_backend = "SERVER_ERROR the backend is out of reach\r\n";
constexpr std::string_view no_backend_answer = "SERVER_ERROR no answer from the backend\r\n";
constexpr std::string_view no_cachedump = "CLIENT_ERROR stats cachedump not allowed\r\n";
constexpr std::string_view no_detail = "CLIENT_ERROR stats detail not allowed\r\n";
constexpr std::string_view no_metadump = "ERROR metadump not allowed\r\n";
constexpr std::string_view no_mgdump = "ERROR key dump not allowed\r\n";
constexpr std::string_view no_watch = "CLIENT_ERROR watch commands not allowed\r\n";
constexpr std::string_view too_many_watchers = "WATCHER_TOO_MANY log watcher limit reached\r\n";
constexpr std::string_view crawler_disabled = "CLIENT_ERROR lru crawler disabled\r\n";
constexpr std::string_view crawler_runs = "ERROR failed to start lru crawler thread\r\n";
constexpr std::string_view crawler_busy = "BUSY currently processing crawler request\r\n";
constexpr std::string_view crawler_bad_class = "BADCLASS invalid class id\r\n";
constexpr std::string_view crawler_error = "ERROR an unknown error happened\r\n";
constexpr std::string_view crawler_sleep_too_long =
    "CLIENT_ERROR sleep must be one second or less\r\n";
constexpr std::string_view dump_end = "EN\r\n";
constexpr std::string_view no_reassign = "CLIENT_ERROR slab reassignment disabled\r\n";
constexpr std::string_view bad_automove_window =
    "CLIENT_ERROR automove window too low or too high\r\n";
constexpr std::string_view bad_lru_percents = "ERROR hot and warm pcts must not exceed 80\r\n";
constexpr std::string_view bad_lru_factors =
    "ERROR hot/warm age factors must be greater than 0\r\n";
constexpr std::string_view no_shutdown = "SERVER_ERROR: shutdown not enabled\r\n";
constexpr std::string_view bad_shutdown = "CLIENT_ERROR invalid shutdown mode\r\n";
constexpr std::string_view no_flush_all = "CLIENT_ERROR flush_all not allowed\r\n";
constexpr std::string_view memory_limit_too_small =
    "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n";
constexpr std::string_view memory_limit_too_big =
    "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n";
constexpr std::string_view memory_limit_out_of_bounds =
    "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n";

}  // namespace reply

// Room for "VALUE <key> <flags> <bytes> <cas unique>\r\n".
constexpr std::size_t value_line_max = 6 + key_size_max + 3 * (1 + digits_max) + 2;

namespace detail {

inline char* copy(char* to, std::string_view text) noexcept {
  if (!text.empty()) std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

inline char* value_line_start(char* to, std::string_view key, std::uint32_t flags,
                              std::size_t size) noexcept {
  to = copy(copy(to, "VALUE "), key);
  *to++ = ' ';
  to = write_number(to, flags);
  *to++ = ' ';
  return write_number(to, size);
}

}  // namespace detail

// The line before a value, of a get and of a gets. `to` has room for value_line_max, the key is at
// most key_size_max long; returns the end.
inline char* write_value_line(char* to, std::string_view key, std::uint32_t flags,
                              std::size_t size) noexcept {
  return detail::copy(detail::value_line_start(to, key, flags, size), reply::crlf);
}
inline char* write_value_line(char* to, std::string_view key, std::uint32_t flags, std::size_t size,
                              std::uint64_t cas_unique) noexcept {
  to = detail::value_line_start(to, key, flags, size);
  *to++ = ' ';
  return detail::copy(write_number(to, cas_unique), reply::crlf);
}

// Room for the answer to incr and decr.
constexpr std::size_t number_line_max = digits_max + 2;

inline char* write_number_line(char* to, std::uint64_t value) noexcept {
  return detail::copy(write_number(to, value), reply::crlf);
}

}  // namespace tandem::protocol
