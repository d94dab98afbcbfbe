// The merge rule: the only place where two states of a key meet. States are ordered by stored
// version, then (between different contents under one version, which only a broken clock can make)
// by content, then by touch version, and the greatest wins: commutative, associative, idempotent;
// nodes that have seen the same records hold the same states, in whatever order they came.
//
// A touch is newer than its store without being worth more than a later one: floors are raised by
// and held against `stored`, so that a late touch neither carries an old value past them nor keeps
// a new one out. A `gone` voids what is older as a state: the touch that let an old value expire
// takes no later store with it.
#pragma once

#include <optional>

#include "common/engine/item.h"
#include "common/replication/record.h"

namespace tandem::replication {

enum class merge_verdict : std::uint8_t {
  keep,        // the state here is equal or newer
  take,        // the incoming state replaces the one here
  take_touch,  // same store, later touch: expiry and marks change, the value stays
  drop,        // the one here is older than what the sender once had: nobody may see it
  refuse,      // nothing here, and something at least as new was dropped here before
};

// `local`: what is stored here, tombstones included. `floor`: the highest version dropped here
// without a tombstone under this key's hash.
merge_verdict merge(const std::optional<engine::item_view>& local, version floor,
                    const record& incoming);

}  // namespace tandem::replication
