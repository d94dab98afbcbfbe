// The incoming data of a link: merges what the peer sends, puts large values together, and knows
// which frame is to be acknowledged.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "common/base/time.h"
#include "common/replication/data_port.h"
#include "common/replication/frame.h"

namespace tandem::replication {

class receiver {
 public:
  explicit receiver(data_port& data) : data_(data) {}

  // A session begins: nothing is half received.
  void begin();

  // Takes a data frame (records, flush, large, chunk, in_sync, inventory_please, inventory_told).
  // Null, or why the session must end.
  [[nodiscard]] const char* take(const frame& f, instant now);

  // Frames applied, kept and not yet acknowledged: sets `sequence` to the last of them.
  bool ack_due(std::uint64_t& sequence);

  // The peer said so in this session, and what it had sent before is kept.
  bool in_sync() const { return in_sync_at_ && data_.kept() > *in_sync_at_; }
  // True once after the peer asked what is held here.
  bool inventory_wanted();
  // How often the peer has told what it holds, if it has said so since the last call.
  std::optional<std::uint32_t> inventories_heard();

  struct counters {
    std::uint64_t received = 0, applied = 0, refused_by_floor = 0, refused_no_room = 0;
  };
  const counters& totals() const noexcept { return totals_; }

 private:
  const char* take_records(std::string_view payload, instant now);
  const char* begin_large(std::string_view payload, instant now);
  const char* take_chunk(std::string_view payload, instant now);
  void apply(const record& r, instant now);
  void count(apply_status status);

  data_port& data_;
  std::optional<std::uint64_t> in_sync_at_;  // data_port::applied() when the peer said so
  bool inventory_wanted_ = false;
  std::optional<std::uint32_t> inventories_heard_;
  bool ack_due_ = false;
  std::uint64_t last_sequence_ = 0;
  struct applied_frames {
    std::uint64_t number;    // data_port::applied()
    std::uint64_t sequence;  // the last of them
  };
  std::deque<applied_frames> unkept_;
  counters totals_;

  // The large value under way; large_size_ 0: none. large_ is null when it cannot be held here: its
  // chunks are counted and thrown away.
  std::string large_key_;
  engine::item_meta large_meta_;
  std::int8_t large_exptime_part_ = 0;
  engine::large_ref large_;
  std::size_t large_size_ = 0;
  std::size_t large_have_ = 0;
};

}  // namespace tandem::replication
