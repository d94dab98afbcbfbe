// Commands that are executed at the peer because it is the master, and their answers. Each side of
// a link has both halves; which is used follows from the role.
//
//   forward    id 8 | last 1 | bytes of the request        a request goes in one or more frames
//   forwarded  id 8 | what 1 | bytes of the answer         so does an answer
//
// Guarantees: nothing is sent twice. A request that may have reached the master and has no answer
// is failed, never repeated; one that is known not to have been executed is given back. Everything
// is bounded: requests under way in number and bytes, each in time; answers not yet sent in bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/time.h"
#include "common/replication/event.h"
#include "common/replication/session.h"

namespace tandem::replication {

constexpr std::size_t forward_bytes_max = std::size_t{2} << 20;   // of a request, of an answer
constexpr std::size_t forwards_bytes_max = std::size_t{8} << 20;  // of all requests under way
constexpr std::size_t forwards_max = 1024;                        // requests under way

// The asking side.
class forward_requests {
 public:
  using results = std::vector<effect::forward_done>;

  // False: too many are under way.
  [[nodiscard]] bool add(std::uint64_t id, std::string bytes, steady_time deadline);
  // Sends what has not been sent.
  void send(session& to);
  // Takes a `forwarded` frame. Null, or why the session must end. An answer that nobody waits for
  // any more is dropped.
  [[nodiscard]] const char* take(std::string_view payload, results& done);
  // The session is over: what was sent has failed.
  void lost(results& done);
  // This node decides by itself now: what has not been sent is given back.
  void give_back(results& done);
  void expire(steady_time now, results& done);
  // The time of the first that expires; none: there is none.
  std::optional<steady_time> deadline() const;
  std::size_t size() const noexcept { return requests_.size(); }

 private:
  struct request {
    std::string bytes;
    steady_time deadline;
    bool sent = false;
    std::string answer;
  };
  using map = std::map<std::uint64_t, request>;
  map::iterator finish(map::iterator which, forward_outcome outcome, results& done);

  map requests_;  // ids rise, and so do deadlines
  std::size_t bytes_ = 0;
};

// The executing side.
class forward_answers {
 public:
  // Takes a `forward` frame. Null, or why the session must end.
  [[nodiscard]] const char* take(std::string_view payload);
  // The next request that is here as a whole, unless answers have piled up.
  std::optional<std::pair<std::uint64_t, std::string>> next(std::size_t unsent);
  void add(event::executed done);
  // It is not executed here.
  static void decline(session& to, std::uint64_t id);
  // It may have been executed, and there is no answer.
  static void fail(session& to, std::uint64_t id);
  // Sends the answers whose mutations were sent, which `sent(mark)` tells.
  template <class Sent>
  void send(session& to, Sent&& sent) {
    while (!answers_.empty()) {
      for (auto& marks = answers_.front().marks; !marks.empty(); marks.pop_back())
        if (!sent(marks.back())) return;
      send_first(to);
    }
  }
  bool empty() const noexcept { return answers_.empty(); }
  // The session is over.
  void clear();

 private:
  void send_first(session& to);

  std::map<std::uint64_t, std::string> parts_;  // of requests that are not here as a whole
  std::deque<std::pair<std::uint64_t, std::string>> ready_;
  std::deque<event::executed> answers_;
  std::size_t request_bytes_ = 0;  // in parts_ and ready_
  std::size_t answer_bytes_ = 0;
};

}  // namespace tandem::replication
