#include "common/service/connection.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/service/connection_state.h"

namespace tandem::service {
namespace {

// The least room for the rest of a line.
constexpr std::size_t line_room = 512;
// So much output is worth a write.
constexpr std::size_t gathered_bytes_max = std::size_t{16} << 10;

}  // namespace

connection::connection(store& data, worker_statistics& statistics, server& host,
                       const connection_limits& limits)
    : state_(std::make_unique<state>(data, statistics, host, limits)) {}

connection::~connection() = default;

void connection::name(int client, watch_waker* waker) {
  state_->client = client;
  state_->waker = waker;
}

void connection::pull() {
  state_->take_watched();
}

void connection::relay_to(backend::lanes& lanes, backend::reply_sink& sink, std::uint16_t home) {
  state_->away_to = std::make_unique<relay>(lanes, sink, home);
}

void connection::answered(const backend::expected& to, std::string_view reply, instant now) {
  state_->answered(to, reply, now);
}

bool connection::relays() const noexcept {
  return state_->away_to != nullptr && !state_->away_to->idle();
}

bool connection::gathers() noexcept {
  return state_->away_to != nullptr && state_->away_to->gathers() &&
         state_->out.size() < gathered_bytes_max;
}

std::span<char> connection::prepare() {
  state& s = *state_;
  std::span<char> room;
  if (s.at == stage::place && s.in.empty()) {
    room = s.place->writable_at(s.filled);
  } else {
    const std::size_t missing = s.at == stage::block    ? block_size(s.pending) - s.in.size()
                                : s.at == stage::gather ? s.away->size - s.in.size()
                                                        : line_room;
    room = s.in.reserve(s.in.empty() ? std::max(s.read_size, missing) : missing);
  }
  s.offered = room.size();
  return room;
}

void connection::received(std::size_t n, instant now) {
  state& s = *state_;
  CHECK(n <= s.offered);
  s.counts.bytes_read.add(n);
  if (s.at == stage::closed || n == 0) return;
  if (s.at == stage::place && s.in.empty()) {
    s.filled += n;
  } else {
    s.in.commit(n);
    s.short_reads = n < read_size_small ? s.short_reads + 1 : 0;
    if (n == s.offered) s.read_size = read_size_large;
    if (s.short_reads >= short_reads_max) s.read_size = read_size_small;
  }
  if (!s.begun && s.in.view().front() == protocol::binary_magic) s.close();
  s.begun = true;
  s.offered = 0;
  s.run(now);
}

void connection::received_end() {
  state_->ended = true;
}

bool connection::has_more() const noexcept {
  return state_->stalled && state_->has_room() && state_->at != stage::closed;
}

void connection::resume(instant now) {
  state_->run(now);
}

bool connection::waits() const noexcept {
  return state_->held != nullptr && !state_->held->empty();
}

void connection::look(instant now) {
  if (state_->held) state_->look(now);
}

std::uint64_t connection::seen() const noexcept {
  return state_->held ? state_->held->seen() : 0;
}

const std::string* connection::to_forward() {
  state& s = *state_;
  if (s.at != stage::away || std::exchange(s.away->taken, true)) return nullptr;
  return &s.away->bytes;
}

bool connection::forwards() const noexcept {
  return state_->at == stage::away;
}

void connection::forwarded(replication::forward_outcome outcome, std::string_view bytes,
                           instant now) {
  state_->back(outcome, bytes, now);
}

std::vector<replication::mutation_mark>& connection::changed() noexcept {
  return state_->changed.list;
}

std::size_t connection::output(std::span<std::string_view> pieces) const {
  const std::size_t count = state_->out.pieces(pieces);
  if (!waits()) return count;
  std::size_t room = state_->sendable();
  for (std::size_t i = 0; i < count; ++i) {
    if (pieces[i].size() >= room) {
      pieces[i] = pieces[i].substr(0, room);
      return room == 0 ? i : i + 1;
    }
    room -= pieces[i].size();
  }
  return count;
}

bool connection::has_output() const noexcept {
  return state_->sendable() != 0;
}

void connection::sent(std::size_t n) {
  state_->out.sent(n);
  state_->take_watched();
  state_->counts.bytes_written.add(n);
}

bool connection::wants_read() const noexcept {
  const state& s = *state_;
  return s.at != stage::closed && s.at != stage::away && !s.ended && !s.stalled && s.has_room();
}

bool connection::inside_value() const noexcept {
  const stage at = state_->at;
  return at == stage::block || at == stage::gather || at == stage::place || at == stage::place_end;
}

bool connection::wants_close() const noexcept {
  const state& s = *state_;
  return s.at == stage::closed || (s.ended && !s.stalled && s.at != stage::away);
}

bool connection::left() const noexcept {
  return state_->left || state_->ended;
}

bool connection::watches() const noexcept {
  return state_->at == stage::watch;
}

std::size_t connection::buffered_bytes() const noexcept {
  const state& s = *state_;
  return sizeof s + s.in.capacity() + s.out.buffered_bytes() + s.pending_words.capacity() +
         (s.away ? s.away->bytes.capacity() + s.away->line.capacity() : 0);
}

}  // namespace tandem::service
