// A walk through the items of some buckets, which are ranges of the key hash and so the same on
// both nodes whatever their shards; a slice at a time, so that nothing is held up for long.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/replication/audit_codec.h"
#include "common/replication/data_port.h"

namespace tandem::replication {

// The digest of an item: its key and everything a client can see of it. Never 0.
std::uint64_t audit_digest_of(const record& r);

class bucket_walk {
 public:
  // Of `head.count` buckets from `head.first` on, of 2^head.bits; `list` also notes the items.
  void begin(const audit_head& head, bool list);
  bool running() const noexcept { return running_; }
  // Goes on for a slice.
  void step(data_port& data, instant now);

  // When it is done.
  const std::vector<audit_digest>& digests() const noexcept { return digests_; }
  const std::string& items() const noexcept { return items_; }  // encoded
  bool cut_short() const noexcept { return cut_short_; }        // they are not all

 private:
  // A large value's bytes are read without the shard's lock.
  struct large_item {
    std::string key, tail;
    record r;
  };
  void add(const record& r);
  bool wanted(const record& r, std::uint64_t hash) const;
  std::uint64_t hash_at(std::uint64_t bucket) const;
  bool at_end(const data_port& data) const;

  audit_head head_;
  bool list_ = false;
  bool running_ = false;
  bool cut_short_ = false;
  std::size_t shard_ = 0;
  bool begun_ = false;  // the shard
  engine::cursor cursor_;
  std::vector<large_item> larges_;
  std::vector<audit_digest> digests_;
  std::string items_;
};

}  // namespace tandem::replication
