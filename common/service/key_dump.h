// `lru_crawler metadump` and `mgdump`: every key, in steps. A step holds one shard's lock for a
// bounded walk and appends to the output what it saw; whoever drives it stops while the output is
// full. A key that exists from beginning to end comes at least once; while items move in the index
// it may come twice. One thread at a time.
#pragma once

#include <bitset>
#include <cstdint>

#include "common/service/crawler.h"
#include "common/service/output.h"
#include "common/service/store.h"

namespace tandem::service {

enum class dump_form : std::uint8_t {
  metadump,  // key=%s exp=%d la=%d cas=%d fetch=%s cls=%d size=%d flags=%d
  mgdump,    // mg <key>
};

// Slab classes by number; memcached's are below 64.
using slab_class_set = std::bitset<64>;

class key_dump {
 public:
  // Holds the crawler's one place, which begin_dump() gave.
  key_dump(dump_form form, const slab_class_set& classes, crawler& place)
      : form_(form), classes_(classes), place_(place) {}
  ~key_dump() { place_.end_dump(); }
  key_dump(const key_dump&) = delete;
  key_dump& operator=(const key_dump&) = delete;

  // Appends the next keys, and behind the last ones the end line. True: that was all.
  bool step(const store& data, output_queue& out, instant now);

 private:
  const dump_form form_;
  const slab_class_set classes_;
  crawler& place_;
  std::size_t shard_ = 0;
  engine::cursor at_;
};

}  // namespace tandem::service
