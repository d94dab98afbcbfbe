// What the replication core needs of the data, shard by shard. The service's store implements it
// with a lock per shard; tests implement it with maps. Every call is bounded by its budget.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>

#include "common/base/time.h"
#include "common/engine/shard.h"
#include "common/replication/journal.h"
#include "common/replication/record.h"
#include "common/replication/split.h"

namespace tandem::replication {

// Takes one record; returns false when it has had enough for now (the record was taken).
using record_sink = std::function<bool(const record&)>;

enum class apply_status : std::uint8_t {
  applied,        // the state here changed
  known,          // the state here is equal or newer
  refused_floor,  // nothing here, but something as new was dropped here before
  no_room,        // too large for this node or no memory: any older state here was dropped
};

class data_port {
 public:
  virtual ~data_port() = default;

  virtual std::size_t shard_count() const = 0;
  // True if no node would miss what is here: no values and no tombstones.
  virtual bool empty() const = 0;
  // The id that versions issued here carry from now on. Called first when the node starts.
  virtual void set_node_id(unsigned id, instant now) = 0;

  // --- sending -------------------------------------------------------------------------------
  // Starts recording (if it was not) and returns the end of the shard's journal: everything older
  // is found by scan, everything newer by read_journal from here.
  virtual journal::position start_journal(std::size_t shard) = 0;
  // Forgets a journal; what is changed from now on only counts positions.
  virtual void stop_journal(std::size_t shard) = 0;
  // The oldest position that read_journal can still serve.
  virtual journal::position journal_begin(std::size_t shard) const = 0;
  virtual journal::position journal_end(std::size_t shard) const = 0;
  // The version named by the entry at `at`; none if there is no such entry.
  virtual version journal_version(std::size_t shard, journal::position at) const = 0;
  // Gives the sink the current states named from `from` on; returns where to go on.
  // `from` must not be below journal_begin().
  virtual journal::position read_journal(std::size_t shard, journal::position from, instant now,
                                         const record_sink& sink) = 0;
  // Whether something was dropped here, at position `from` of the journal or later, that nothing
  // but the journal's entry can tell of.
  virtual bool news_after(std::size_t shard, journal::position from) const = 0;
  // Gives the sink the items of about `budget` index positions from the cursor on, all of them
  // whatever it answers: a cursor cannot stop within a position. With `newer_than` only what was
  // changed by this node after that version: what came from the peer is there.
  virtual void scan(std::size_t shard, engine::cursor& at, unsigned budget, version newer_than,
                    instant now, const record_sink& sink) = 0;
  // Where a scan begins that is to find the items from this key hash on, and some before them.
  virtual engine::cursor scan_from(std::size_t shard, std::uint64_t hash) const = 0;
  enum class standing : std::uint8_t { current, replaced, absent };
  // Whether the state that a record told of is still the one held here.
  virtual standing check(std::string_view key, version changed) const = 0;
  // The peer has everything journaled before `upto`: trims the journal. `all_older`: and everything
  // that was stored before the journal began (no scan is outstanding), so tombstones may go.
  virtual void confirm(std::size_t shard, journal::position upto, bool all_older) = 0;
  // No state of the shard up to this version is unknown to the peer, as far as confirm() was told.
  virtual version confirmed(std::size_t shard) const = 0;
  virtual flush_state flush() const = 0;
  // The peer has the flush_all register as it was in this state (number_of()), or a later one.
  virtual void confirm_flush(journal::position /*state*/) {}
  // Rises with everything that is journaled.
  virtual std::uint64_t mutations() const noexcept = 0;

  // No version issued or seen here is above this; and versions issued here from now on are above
  // `seen`.
  virtual version highest() const = 0;
  virtual void observe(version seen) = 0;

  // --- comparing -----------------------------------------------------------------------------
  // Values and tombstones held, about.
  virtual std::uint64_t items() const = 0;
  // Gives the sink what is held under a key, a value that cannot be seen any more as gone, and
  // returns the floor of its hash: what was dropped here of it is not above that.
  virtual version look(std::string_view key, instant now, const record_sink& sink) const = 0;
  // Journals what is held under a key once more, so that the peer gets it.
  virtual void journal_again(std::string_view key) = 0;

  // --- receiving -----------------------------------------------------------------------------
  // Merges a record by the rule of merge.h. A `held` one changes nothing here; what it tells of is
  // journaled as gone if it is void.
  virtual apply_status apply(const record& incoming, instant now) = 0;
  // The same for some at once, in order, which costs less than one by one; at most apply_max.
  virtual void apply_all(std::span<const record> incoming, instant now,
                         std::span<apply_status> results) = 0;
  static constexpr std::size_t apply_max = 32;
  // What was applied may still be on its way to where it is kept (service/sidecar.h), and is
  // acknowledged when it is there. applied(): the number of what was applied since it was asked
  // last; kept(): what has a lower number is there. mutations() rises when kept() has.
  virtual std::uint64_t applied() { return 0; }
  virtual std::uint64_t kept() { return 1; }
  // Room for a large value of `size` bytes under `key`; null if it cannot be held here.
  // Memory for its bytes comes with extend(), as they come; false: it cannot be held here.
  virtual engine::large_ref reserve(std::string_view key, std::size_t size, instant now) = 0;
  virtual bool extend(std::string_view key, engine::large_value& value, instant now) = 0;
  virtual void apply_flush(const flush_state& incoming, instant now) = 0;

  // --- splits (split.h) ----------------------------------------------------------------------
  // The link is lost, or was never there: what changes from now on the peer does not know.
  virtual void begin_split() = 0;
  // Two masters have met: conflicts between what both changed since are counted from now on.
  virtual void count_conflicts() = 0;
  // No more of it; what was counted, if anything was.
  virtual split_report end_split() = 0;
};

}  // namespace tandem::replication
