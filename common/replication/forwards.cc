#include "common/replication/forwards.h"

#include <algorithm>

#include "common/base/endian.h"

namespace tandem::replication {

namespace {

constexpr std::size_t forward_chunk_bytes = std::size_t{64} << 10;
constexpr std::size_t queued_factor = 4;
constexpr std::size_t forward_head_bytes = sizeof(std::uint64_t) + 1;

// What a `forwarded` frame says.
enum : std::uint8_t { answer_goes_on = 0, answer_ends = 1, not_master = 2, no_answer = 3 };

void say_part(session& to, frame_type type, std::uint64_t id, std::uint8_t what,
              std::string_view bytes) {
  std::string payload(forward_head_bytes, '\0');
  store_le(payload.data(), id);
  payload[sizeof id] = static_cast<char>(what);
  to.say(type, payload.append(bytes));
}

// The last part is marked by `last`, the others by `part`; there is at least one.
void say_in_parts(session& to, frame_type type, std::uint64_t id, std::string_view bytes,
                  std::uint8_t part, std::uint8_t last) {
  for (; bytes.size() > forward_chunk_bytes; bytes.remove_prefix(forward_chunk_bytes))
    say_part(to, type, id, part, bytes.substr(0, forward_chunk_bytes));
  say_part(to, type, id, last, bytes);
}

}  // namespace

// --- asking -------------------------------------------------------------------------------------

bool forward_requests::add(std::uint64_t id, std::string bytes, steady_time deadline) {
  if (requests_.size() >= forwards_max || bytes_ + bytes.size() > forwards_bytes_max) return false;
  bytes_ += bytes.size();
  requests_.try_emplace(id, request{std::move(bytes), deadline, false, {}});
  return true;
}

void forward_requests::send(session& to) {
  for (auto& [id, r] : requests_) {
    if (std::exchange(r.sent, true)) continue;
    say_in_parts(to, frame_type::forward, id, r.bytes, 0, 1);
  }
}

forward_requests::map::iterator forward_requests::finish(map::iterator which,
                                                         forward_outcome outcome, results& done) {
  bytes_ -= which->second.bytes.size();
  done.push_back({which->first, outcome, std::move(which->second.answer)});
  return requests_.erase(which);
}

const char* forward_requests::take(std::string_view payload, results& done) {
  if (payload.size() < forward_head_bytes) return "malformed forwarded frame";
  const auto id = load_le<std::uint64_t>(payload.data());
  const auto what = static_cast<std::uint8_t>(payload[sizeof id]);
  if (what > no_answer) return "malformed forwarded frame";
  payload.remove_prefix(forward_head_bytes);
  const auto found = requests_.find(id);
  if (found == requests_.end() || !found->second.sent) return nullptr;
  std::string& answer = found->second.answer;
  if (answer.size() + payload.size() > forward_bytes_max) return "too long an answer";
  answer.append(payload);
  if (what == answer_ends) finish(found, forward_outcome::answered, done);
  if (what == not_master) finish(found, forward_outcome::elsewhere, done);
  if (what == no_answer) finish(found, forward_outcome::failed, done);
  return nullptr;
}

void forward_requests::lost(results& done) {
  for (auto it = requests_.begin(); it != requests_.end();)
    it = it->second.sent ? finish(it, forward_outcome::failed, done) : std::next(it);
}

void forward_requests::give_back(results& done) {
  for (auto it = requests_.begin(); it != requests_.end();)
    it = it->second.sent ? std::next(it) : finish(it, forward_outcome::elsewhere, done);
}

void forward_requests::expire(steady_time now, results& done) {
  while (!requests_.empty() && requests_.begin()->second.deadline <= now)
    finish(requests_.begin(), forward_outcome::failed, done);
}

std::optional<steady_time> forward_requests::deadline() const {
  if (requests_.empty()) return std::nullopt;
  return requests_.begin()->second.deadline;
}

// --- executing ----------------------------------------------------------------------------------

const char* forward_answers::take(std::string_view payload) {
  if (payload.size() < forward_head_bytes) return "malformed forward frame";
  const auto id = load_le<std::uint64_t>(payload.data());
  const char last = payload[sizeof id];
  payload.remove_prefix(forward_head_bytes);
  // The peer keeps to its limits, which are ours; but what it has given up may still be here.
  request_bytes_ += payload.size();
  if (request_bytes_ > queued_factor * forwards_bytes_max ||
      parts_.size() + ready_.size() > queued_factor * forwards_max)
    return "too much forwarded";
  std::string& whole = parts_[id].append(payload);
  if (last == 0) return nullptr;
  ready_.emplace_back(id, std::move(whole));
  parts_.erase(id);
  return nullptr;
}

std::optional<std::pair<std::uint64_t, std::string>> forward_answers::next(std::size_t unsent) {
  if (ready_.empty() || answer_bytes_ + unsent > forwards_bytes_max) return std::nullopt;
  std::optional taken(std::move(ready_.front()));
  ready_.pop_front();
  request_bytes_ -= taken->second.size();
  return taken;
}

void forward_answers::add(event::executed done) {
  answer_bytes_ += done.bytes.size();
  answers_.push_back(std::move(done));
}

void forward_answers::decline(session& to, std::uint64_t id) {
  say_part(to, frame_type::forwarded, id, not_master, {});
}

void forward_answers::fail(session& to, std::uint64_t id) {
  say_part(to, frame_type::forwarded, id, no_answer, {});
}

void forward_answers::send_first(session& to) {
  const event::executed& first = answers_.front();
  if (first.bytes.size() > forward_bytes_max)
    fail(to, first.id);
  else
    say_in_parts(to, frame_type::forwarded, first.id, first.bytes, answer_goes_on, answer_ends);
  answer_bytes_ -= first.bytes.size();
  answers_.pop_front();
}

void forward_answers::clear() {
  parts_.clear();
  ready_.clear();
  answers_.clear();
  request_bytes_ = answer_bytes_ = 0;
}

}  // namespace tandem::replication
