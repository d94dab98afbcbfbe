// The data of a node that a stock memcached keeps (cache.engine), as the replication sees it: the
// store is an index of it. It holds keys with empty values, their versions, tombstones, floors and
// journal, by the same rules as data of its own; the values are in the backend.
//
// What a client changed there is recorded when its reply comes, under a new version: "the state of
// this key in the backend, now or later". A record for the peer takes the value from the backend
// before it is sent: read_journal() and scan() that need values ask for them, give nothing and stay
// where they are, and the link is woken when the values are there.
//
// What the peer sends is merged in the index and written through the key's lane, behind what is
// under way there. While a client's change of the key is under way it waits, because that change
// has no version yet. It is acknowledged when the backend has answered: a node that is killed
// before that gets it again. What expires waits until the backend's clock is known
// (backend/clock.h): a second or so after that was connected. A flush_all of the peer's concerns
// all lanes, and is in order on each of them (sidecar_flush.cc): records behind it wait for it.
//
// Threads: data_port's calls in the link's; record() and retry() in the lanes'.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/backend/lane.h"
#include "common/backend/metadump.h"
#include "common/backend/transfer.h"
#include "common/replication/data_port.h"
#include "common/service/store.h"

namespace tandem::service {

class sidecar final : public replication::data_port, private backend::reply_sink {
 public:
  // `wake`: values have come; any thread. Store and lanes outlive this.
  sidecar(store& index, backend::lanes& lanes, std::function<void()> wake);

  // A reply has come (empty: it will not), and is not yet with its client. True: something was
  // journaled, and `to.mark` says what the peer has to confirm.
  bool record(backend::expected& to, std::string_view key, std::string_view reply, instant now);
  // After a round of replies of a lane: what waited for them.
  void retry(std::uint16_t home, instant now);
  // The lanes' clock is settled: what waited for that. Any thread.
  void clock_settled(instant now);
  // The backend held an item before it was followed: a state older than all others, unless its CAS
  // unique is a version of ours. Its expiry is by the backend's clock. Any thread.
  void adopt(const backend::dumped_item& item, instant now);
  // Under which version the key is taken for stored; nothing: it is not. Any thread.
  std::optional<version> held(std::string_view key, instant now);
  // The backend may be another one: what is known of it is void. Any thread, while the link rests.
  void forget(instant now);
  // What was written there for the peer, and may have been or not: the backend was lost before it
  // answered. Those keys are removed, for a miss is safe and what they replaced is not, even where
  // the backend has no uniques of ours that tell how old it is. True: there are none any more.
  // False: ask again, it is under way. Any thread, when the backend takes requests again, before it
  // is asked what it holds.
  bool settle_doubts();
  // The backend takes requests again. Any thread.
  void opened() { arrived(); }

  // --- replication::data_port ----------------------------------------------------------------
  std::size_t shard_count() const override { return index_.shard_count(); }
  bool empty() const override { return index_.empty(); }
  void set_node_id(unsigned id, instant now) override { index_.set_node_id(id, now); }
  replication::journal::position start_journal(std::size_t shard) override {
    return index_.start_journal(shard);
  }
  void stop_journal(std::size_t shard) override { index_.stop_journal(shard); }
  replication::journal::position journal_begin(std::size_t shard) const override {
    return index_.journal_begin(shard);
  }
  replication::journal::position journal_end(std::size_t shard) const override {
    return index_.journal_end(shard);
  }
  version journal_version(std::size_t shard, replication::journal::position at) const override {
    return index_.journal_version(shard, at);
  }
  replication::journal::position read_journal(std::size_t shard,
                                              replication::journal::position from, instant now,
                                              const replication::record_sink& sink) override;
  bool news_after(std::size_t shard, replication::journal::position from) const override {
    return index_.news_after(shard, from);
  }
  void scan(std::size_t shard, engine::cursor& at, unsigned budget, version newer_than, instant now,
            const replication::record_sink& sink) override;
  engine::cursor scan_from(std::size_t shard, std::uint64_t hash) const override {
    return index_.scan_from(shard, hash);
  }
  standing check(std::string_view key, version changed) const override {
    return index_.check(key, changed);
  }
  void confirm(std::size_t shard, replication::journal::position upto, bool all_older) override {
    index_.confirm(shard, upto, all_older);
  }
  void confirm_flush(replication::journal::position state) override { index_.confirm_flush(state); }
  version confirmed(std::size_t shard) const override { return index_.confirmed(shard); }
  replication::flush_state flush() const override { return index_.flush(); }
  std::uint64_t mutations() const noexcept override {
    return index_.mutations() + arrivals_.load();
  }
  std::uint64_t items() const override { return index_.items(); }
  version look(std::string_view key, instant now,
               const replication::record_sink& sink) const override {
    return index_.look(key, now, sink);
  }
  void journal_again(std::string_view key) override { index_.journal_again(key); }
  replication::apply_status apply(const replication::record& incoming, instant now) override;
  void apply_all(std::span<const replication::record> incoming, instant now,
                 std::span<replication::apply_status> results) override;
  version highest() const override { return index_.highest(); }
  void observe(version seen) override { index_.observe(seen); }
  engine::large_ref reserve(std::string_view key, std::size_t size, instant now) override {
    return index_.reserve(key, size, now);
  }
  bool extend(std::string_view key, engine::large_value& value, instant now) override {
    return index_.extend(key, value, now);
  }
  void apply_flush(const replication::flush_state& incoming, instant now) override;
  // Kept is what the backend has answered.
  std::uint64_t applied() override;
  std::uint64_t kept() override;
  void begin_split() override { index_.begin_split(); }
  void count_conflicts() override { index_.count_conflicts(); }
  replication::split_report end_split() override { return index_.end_split(); }

 private:
  // A state that the index tells of, on its way to the peer.
  struct wanted {
    replication::record_kind kind;
    std::string key;
    engine::item_meta meta;
    replication::journal::position after = 0;  // of the journal, behind its entry
    bool fetches = false;
    wall_time asked = {};    // when it was fetched
    std::string reply = {};  // of the backend; empty: lost
  };
  // Those of one look, which go together: it is there until all their values have come.
  struct look_out final : backend::reply_sink {
    explicit look_out(sidecar& of) : owner(of) {}
    // In the lanes' threads; `to.number` is that of a state.
    bool answered(const backend::expected& to, std::string_view reply) override;
    void settled() override {}

    sidecar& owner;
    std::shared_ptr<look_out> self = nullptr;  // as long as values are missing
    replication::journal::position from = 0;
    engine::cursor begin{}, end{};
    version newer_than = {};
    std::vector<wanted> states = {};
    std::atomic<std::size_t> missing{0};
    std::atomic<bool> lost{false};
  };
  using look_ptr = std::shared_ptr<look_out>;
  // A record that waits for a client's change, the clock, or a flush.
  struct waiting {
    replication::record what;  // its key and value are those below
    std::string key, value;
    std::uint64_t number = 0;  // of applied()
  };

  bool answered(const backend::expected& to, std::string_view reply) override;
  void settled() override {}
  look_ptr look_at_journal(std::size_t shard, replication::journal::position from, instant now);
  look_ptr look_at_index(std::size_t shard, const engine::cursor& at, unsigned budget,
                         version newer_than, instant now);
  void size_scans(const look_out& by);
  void ask(const look_ptr& what, instant now);
  static void ask(backend::lane& of, look_out& what, std::span<const std::uint32_t> states);
  // What the link waits for.
  void arrived();
  bool give(const wanted& w, instant now, const replication::record_sink& sink) const;
  bool give_fetched(const wanted& w, instant now, const replication::record_sink& sink) const;
  backend::clock::moment exptime_of(const backend::fetched_item& item, const wanted& w,
                                    instant now) const;
  // A record of those that are applied together.
  struct part {
    const replication::record* incoming = nullptr;
    std::uint64_t hash = 0;
    replication::apply_status* result = nullptr;
  };
  struct written_key {
    std::string key;  // empty: all
    bool binary = false;
    std::uint64_t number = 0;  // of applied()
  };
  // What goes to one lane in one access, and is answered together.
  struct burst {
    backend::lane::access with;
    std::uint64_t number;  // of applied()
    std::vector<written_key> written = {};
  };
  static constexpr std::uint64_t all_kept = std::numeric_limits<std::uint64_t>::max();
  // Of what no acknowledgement waits for.
  static constexpr std::uint64_t number_of_none = all_kept - 1;
  struct flush_round;
  using flush_ptr = std::shared_ptr<flush_round>;
  // `number`: of applied().
  void apply_all(std::span<const replication::record> incoming, std::uint64_t number, instant now,
                 std::span<replication::apply_status> results);
  void apply_to(backend::lane& of, std::span<part> parts, std::uint64_t number, instant now);
  bool put_off(burst& to, const part& which);
  void write(burst& to, const replication::record& incoming, instant now);
  void write_remove(burst& to, const replication::record& incoming);
  void expect_done(burst& to, const backend::item_name& name);
  void expect_replies(burst& to);
  void begin_flush(const flush_ptr& round);
  void send_flush(const flush_ptr& round);
  void end_flush(const flush_round& round, std::uint16_t home);
  bool waits_for_flush(const replication::record& incoming, std::uint64_t number);
  void note_beside_flush(std::string_view key, bool binary);
  void end_client_flush(bool done, instant now);
  void try_again(std::size_t queue, instant now);
  void wait(std::size_t queue, const replication::record& incoming, std::uint64_t number);
  std::uint64_t first_unkept() const;
  void is_kept(std::uint64_t number);
  void doubt(std::string key, bool binary);

  store& index_;
  backend::lanes& lanes_;
  const std::function<void()> wake_;
  std::atomic<std::uint64_t> arrivals_{0};

  // The link's thread.
  std::vector<look_ptr> journal_looks_, scan_looks_;  // by shard
  std::size_t scan_look_ = 64;                        // states of the next look of a scan

  std::mutex mutex_;  // guards the rest; taken under a lane's lock, never around one
  std::vector<std::vector<waiting>> waiting_;     // by lane; then for the clock; then for a flush
  std::deque<flush_ptr> flushes_;                 // the first is under way
  std::atomic<bool> flushing_{false};             // whether there are any
  std::vector<std::deque<written_key>> written_;  // by lane: their replies have not come
  std::vector<written_key> beside_;               // written while a client's flush was under way
  std::vector<written_key> doubts_;
  bool doubts_all_ = false;
  std::uint64_t number_ = 0;                     // of applied()
  std::map<std::uint64_t, std::size_t> unkept_;  // how much waits or is written, by that number
  std::optional<std::uint64_t> asked_;           // what kept() has said, where that was not all
};

}  // namespace tandem::service
