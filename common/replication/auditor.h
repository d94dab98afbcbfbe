// Compares this node's data with the peer's: digests of buckets of keys, and in buckets that differ
// the keys. What differs is counted, a few keys are kept as samples, and on request both nodes send
// each other what they have of it, which the merge rule decides.
//
// Live changes do not disturb it. First both agree on a version, the cutoff: each raises its clocks
// to it and waits until the peer has acknowledged all that was changed before. From then on a state
// that is not newer than the cutoff is known to both; later ones are left out, and a key that
// changes while it is looked at is not counted. A key that one side alone has dropped (evicted,
// expired, refused) is not a difference either: the floor of its hash tells.
//
// Bounded: a question at a time, a bucket's keys in memory, slices of work (bucket_walk.h) between
// which the node goes on with everything else.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/replication/audit_codec.h"
#include "common/replication/bucket_walk.h"
#include "common/replication/data_port.h"
#include "common/replication/frame.h"
#include "common/replication/sender.h"

namespace tandem::replication {

struct audit_report {
  wall_time ended{};
  std::uint64_t compared = 0;   // keys of this node
  std::uint64_t differing = 0;  // keys whose states differ, or that one side lacks without a reason
  std::uint64_t dropped = 0;    // keys that one side has dropped
  std::uint64_t repaired = 0;   // of those that differ: sent again by both
  std::uint64_t milliseconds = 0;
  std::vector<std::string> samples;  // differing keys, the first samples_max
};

class auditor {
 public:
  static constexpr std::size_t samples_max = 16;
  // Sends a frame to the peer.
  using speaker = std::function<void(frame_type, std::string_view payload)>;

  auditor(data_port& data, const sender& out) : data_(data), sender_(out) {}

  // The session is over, or a new one begins: what was under way is given up.
  void reset();
  // Begins to compare; false: it is being done already. `apart`: the nodes' clocks.
  bool start(bool repair, std::chrono::seconds apart, instant now, const speaker& say);
  bool running() const noexcept { return phase_ != phase::idle; }
  // A question or an answer of the peer's. Null, or why the session must end.
  [[nodiscard]] const char* take(const frame& f, instant now, const speaker& say);
  // Goes on with what is under way, a slice of it.
  void step(instant now, const speaker& say);
  // Whether step() has work that waits for nothing.
  bool busy() const noexcept { return theirs_.running() || ours_.running(); }
  // Whether it waits for the peer's acknowledgement.
  bool draining() const noexcept { return asked_begin_ || phase_ == phase::draining; }

  // Once after an audit of ours has ended.
  std::optional<audit_report> take_report();

 private:
  enum class phase : std::uint8_t { idle, beginning, draining, digests, keys, checking };
  struct bucket {
    unsigned bits;
    std::uint64_t number;
  };
  struct entry {
    std::uint64_t digest;
    version changed;
  };

  // --- asked by the peer ------------------------------------------------------------------------
  const char* answer(std::string_view payload, instant now, const speaker& say);
  void answer_walk(const speaker& say);
  bool answer_check(const audit_head& head, std::string_view body, instant now, const speaker& say);
  audit_verdict judge(const audit_head& head, const audit_item& item, instant now) const;

  // --- asked by us ------------------------------------------------------------------------------
  const char* hear(std::string_view payload, instant now, const speaker& say);
  void ask_next(instant now, const speaker& say);
  void ask(audit_head head, std::string_view body, const speaker& say);
  void compare(instant now, const speaker& say);
  bool compare_digests();
  bool compare_keys(instant now, const speaker& say);
  bool hear_verdicts(std::string_view verdicts);
  void finish(instant now);

  data_port& data_;
  const sender& sender_;

  // The peer's question under way.
  audit_head their_head_;
  bucket_walk theirs_;
  bool asked_begin_ = false;
  std::vector<journal::position> their_goal_;

  // Ours.
  phase phase_ = phase::idle;
  bool repair_ = false;
  audit_head head_;
  bucket_walk ours_;
  std::vector<journal::position> goal_;
  bool answered_ = false;
  std::string answer_;  // the body
  bool answer_cut_short_ = false;
  unsigned bits_ = 0;
  std::uint64_t next_bucket_ = 0;
  std::vector<bucket> deeper_;      // buckets whose keys are to be looked at
  std::vector<std::string> asked_;  // keys of the check under way
  audit_report report_;
  steady_time began_{};
  std::uint32_t apart_ = 0;  // seconds between the nodes' clocks
  bool reported_ = false;
};

}  // namespace tandem::replication
