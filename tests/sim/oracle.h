// What must be true. Looks at a machine's data all the time, and at the pair when it has healed and
// come to rest. Everything is held against what clients were told: which value they stored under
// which version, what they deleted, and until when a value may live.
//
// Clients may use expiry times and flush_all, and memory may be tight; then a key may go by itself.
// Each check says what excuses an absence: only a reason that was really there.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tests/sim/machine.h"
#include "tests/sim/world.h"

namespace tandem::sim {

class oracle {
 public:
  struct rules {
    bool may_evict = false;  // memory is tight
    // Machines of the same cluster that were never in this pair came and went: what the pair has
    // agreed to forget may be news from them, and they may have reigned in any term.
    bool strangers = false;
  };

  oracle(const world& w, const std::vector<std::string>& keys, rules r);

  // --- what clients were told: `key` is a number in `keys` -----------------------------------
  // A store was answered with success: value under a new version.
  void stored(const machine& m, std::size_t key, version v, std::string_view value,
              std::uint32_t exptime);
  // The expiry of what is there was changed.
  void touched(machine& m, std::size_t key, std::uint32_t exptime);
  void deleted(machine& m, std::size_t key);
  // What was written in any life that `other` knows of, `m` knows of from now on.
  void met(const machine& m, const machine& other);

  // The reply to a change waited for the peer's confirmation: both nodes have this state of the
  // key, or a newer one, and keep it. `peer`: null if it has died since.
  void promised(machine& m, machine* peer, std::size_t key, const engine::item_meta& state);

  // --- at any moment -------------------------------------------------------------------------
  // P2, P3 (what was promised), P4, P5, P7, P8 on one machine: states only move forward, values are
  // what was stored under their version, nothing vanishes without a reason, memory is within its
  // limit, and clients are served in the right roles only.
  void look(machine& m);
  // P6: two machines that run are not both master in one term.
  void look_at_roles(const machine& a, const machine& b) const;
  // P3: what `other` lacks of what was written on `m` is no more than the lag that `m` reports.
  void check_lag(machine& m, machine& other);
  // The incarnation's knowledge is gone with it.
  void forget(const machine& m);
  // To be called before a machine's clock is set: what has expired by it has.
  void clock_is_set(const machine& m);

  // --- at the end ----------------------------------------------------------------------------
  // True when the pair is linked, in sync in both directions, without lag, one master, one slave.
  static bool settled(machine& a, machine& b);
  // P1, P2, P6 on a pair at rest.
  void check_rest(machine& a, machine& b);

 private:
  struct written {
    std::uint64_t value_hash = 0;
    std::size_t value_size = 0;
    bool value = false;  // not a delete
    micros when = 0;
    std::uint64_t life = 0;
  };
  // The newest state seen on this incarnation: stored decides, then touched.
  struct known {
    version stored, touched;
    engine::item_meta promised;  // a client relies on this state or a newer one
    bool visible = false;
    std::uint64_t verified = 0;  // the version whose value was read and found right
    // What had been evicted or refused at the other machines when a client last wrote here.
    std::uint64_t dropped_elsewhere = 0;
    bool older_than(const engine::item_meta& m) const {
      return stored != m.stored ? stored < m.stored : touched < m.touched;
    }
    void learn(const engine::item_meta& m) {
      if (!older_than(m)) return;
      stored = m.stored;
      touched = m.touched;
    }
  };
  struct mortal {
    version stored;
    std::uint32_t exptime;
  };
  struct key_history {
    std::string name;
    std::uint64_t hash = 0;
    // By the version's word; several of one word are of lives that did not know of each other.
    std::unordered_multimap<std::uint64_t, written> versions;
    version deleted;              // the last one anywhere
    std::vector<mortal> mortals;  // states that some client gave an expiry time
  };

  // One incarnation of a machine.
  static std::uint64_t life_of(const machine& m) { return m.incarnation() << 8 | m.config().id; }
  void write_down(key_history& h, version v, written what);
  std::string describe(machine& m, std::size_t key);
  void look_at_key(machine& m, std::size_t key, known& k);
  bool may_have_gone(machine& m, const key_history& h, version v);
  void check_key_at_rest(machine& a, machine& b, std::size_t key);
  // The key was last written before `other` was: by the world's time, which no node knows. With
  // clocks apart a later write may have the lower version; that it loses is the rule, that it stays
  // where the winner has expired, or was deleted and forgotten, is no resurrection.
  static bool written_before(const key_history& h, version v, version other);
  static std::uint64_t dropped_at(machine& m);
  std::vector<known>& seen(const machine& m);

  const world& world_;
  const rules rules_;
  std::vector<key_history> keys_;
  std::map<host_id, std::vector<known>> seen_;
  std::map<std::uint64_t, std::set<std::uint64_t>> known_lives_;  // to each life, others
  std::map<host_id, std::uint64_t> dropped_;  // evicted or refused there, as of the last look
  std::map<host_id, const machine*> clocks_;  // of the machines looked at
  std::uint32_t latest_second_ = 0;           // of any machine's clock so far
};

}  // namespace tandem::sim
