#include "common/replication/receiver.h"

#include <array>
#include <utility>

#include "common/base/endian.h"
#include "common/replication/record_codec.h"

namespace tandem::replication {

void receiver::begin() {
  inventory_wanted_ = ack_due_ = false;
  in_sync_at_.reset();
  inventories_heard_.reset();
  unkept_.clear();
  large_.reset();
  large_size_ = large_have_ = 0;
}

bool receiver::ack_due(std::uint64_t& sequence) {
  if (std::exchange(ack_due_, false)) unkept_.push_back({data_.applied(), last_sequence_});
  if (unkept_.empty()) return false;
  const std::uint64_t kept = data_.kept();
  bool due = false;
  for (; !unkept_.empty() && unkept_.front().number < kept; unkept_.pop_front()) {
    sequence = unkept_.front().sequence;
    due = true;
  }
  return due;
}

bool receiver::inventory_wanted() {
  return std::exchange(inventory_wanted_, false);
}

std::optional<std::uint32_t> receiver::inventories_heard() {
  return std::exchange(inventories_heard_, std::nullopt);
}

const char* receiver::take(const frame& f, instant now) {
  last_sequence_ = f.sequence;
  ack_due_ = true;
  switch (f.type) {
    case frame_type::records:
      return take_records(f.payload, now);
    case frame_type::flush:
      if (const auto flush = decode_flush(f.payload)) {
        data_.apply_flush(*flush, now);
        return nullptr;
      }
      return "malformed flush frame";
    case frame_type::large:
      return begin_large(f.payload, now);
    case frame_type::chunk:
      return take_chunk(f.payload, now);
    case frame_type::in_sync:
      in_sync_at_ = data_.applied();
      return f.payload.empty() ? nullptr : "malformed in_sync frame";
    case frame_type::inventory_please:
      inventory_wanted_ = true;
      return f.payload.empty() ? nullptr : "malformed inventory_please frame";
    case frame_type::inventory_told:
      if (f.payload.size() != sizeof(std::uint32_t)) return "malformed inventory_told frame";
      inventories_heard_ = load_le<std::uint32_t>(f.payload.data());
      return nullptr;
    default:
      return "unexpected frame";
  }
}

const char* receiver::take_records(std::string_view payload, instant now) {
  std::array<record, data_port::apply_max> batch;
  std::array<apply_status, data_port::apply_max> results;
  while (!payload.empty()) {
    std::size_t taken = 0;
    bool malformed = false;
    while (!payload.empty() && !malformed && taken < batch.size()) {
      std::size_t value_size = 0;
      const auto r = take_record(payload, false, value_size);
      malformed = !r;
      if (r) batch[taken++] = *r;
    }
    data_.apply_all({batch.data(), taken}, now, results);
    for (std::size_t i = 0; i < taken; ++i) count(results[i]);
    if (malformed) return "malformed record";
  }
  return nullptr;
}

void receiver::apply(const record& r, instant now) {
  count(data_.apply(r, now));
}

void receiver::count(apply_status status) {
  ++totals_.received;
  switch (status) {
    case apply_status::applied:
      ++totals_.applied;
      break;
    case apply_status::known:
      break;
    case apply_status::refused_floor:
      ++totals_.refused_by_floor;
      break;
    case apply_status::no_room:
      ++totals_.refused_no_room;
      break;
  }
}

const char* receiver::begin_large(std::string_view payload, instant now) {
  if (large_size_ != 0) return "a large value inside another";
  std::size_t size = 0;
  const auto r = take_record(payload, true, size);
  if (!r || !payload.empty() || r->kind != record_kind::value || size < streamed_value_min)
    return "malformed large record";
  large_key_ = r->key;
  large_meta_ = r->meta;
  large_exptime_part_ = r->exptime_part;
  large_size_ = size;
  large_have_ = 0;
  large_ = data_.reserve(large_key_, size, now);
  return nullptr;
}

const char* receiver::take_chunk(std::string_view payload, instant now) {
  if (large_size_ == 0) return "a chunk of no large value";
  if (payload.size() > large_size_ - large_have_) return "malformed chunk";
  if (payload.empty()) {  // abandoned
    large_.reset();
    large_size_ = 0;
    return nullptr;
  }
  const std::size_t upto = large_have_ + payload.size();
  while (large_ && large_->granted() < upto)
    if (!data_.extend(large_key_, *large_, now)) large_.reset();
  if (large_) large_->write(large_have_, payload);
  large_have_ = upto;
  if (large_have_ < large_size_) return nullptr;

  record r;
  r.key = large_key_;
  r.meta = large_meta_;
  r.exptime_part = large_exptime_part_;
  r.large = std::move(large_);
  large_size_ = 0;
  if (!r.large) {
    // It cannot be held here; what it replaced must not be seen any more either.
    r.kind = record_kind::gone;
    ++totals_.refused_no_room;
  }
  apply(r, now);
  return nullptr;
}

}  // namespace tandem::replication
