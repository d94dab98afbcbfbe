// incr, decr and `ma`: the number that a value is, and the value that a changed number is.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/engine/item.h"
#include "common/protocol/numbers.h"
#include "common/service/store.h"

namespace tandem::service {

struct changed_number {
  explicit changed_number(std::uint64_t to) noexcept
      : value(to),
        length_(static_cast<std::size_t>(protocol::write_number(digits_, to) - digits_)) {}
  std::string_view digits() const noexcept { return {digits_, length_}; }

  std::uint64_t value;

 private:
  char digits_[protocol::digits_max];
  std::size_t length_;
};

// Up wraps at 2^64, down stops at 0. Nothing: the item's value is no number.
std::optional<changed_number> change_number(const engine::item_view& item, bool up,
                                            std::uint64_t delta);

// What of an item a changed number does not keep by itself.
struct number_meta {
  std::uint32_t exptime;
  store::own_cas cas;
};

// Stores the number in the item's place: alone, or padded with spaces to the old value's length.
// The item keeps its flags and marks.
store::locked::put_result put_number(store::locked& shard, const hashed_key& key,
                                     const engine::item_view& item, const changed_number& changed,
                                     const number_meta& meta);

}  // namespace tandem::service
