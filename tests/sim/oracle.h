// What must be true. Looks at a machine's data all the time, and at the pair when it has healed and
// come to rest.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/machine.h"
#include "tests/sim/world.h"

namespace tandem::sim {

class oracle {
 public:
  // `keys`: every key that clients use. `may_evict`: memory is tight, so keys may go by themselves.
  // `may_expire`: clients use expiry times and flush_all.
  oracle(const world& w, std::vector<std::string> keys, bool may_evict, bool may_expire);

  // A client's store was answered with success: value under a new version.
  void stored(const machine& m, const std::string& key, version v, const std::string& value);

  // A client's delete was carried out.
  void deleted(machine& m, const std::string& key);

  // P2, P4, P7 on one machine: states only move forward, values are what was stored under their
  // version, and nothing vanishes without a delete, a flush, expiry or eviction.
  void look(machine& m);
  // The incarnation's knowledge is gone with it.
  void forget(const machine& m);

  // P3: what the survivor of a crash lacks is no more than the lag the dead one reported.
  void check_loss(machine& dead, machine& survivor);

  // True when the pair is linked, in sync in both directions, without lag, one master, one slave.
  static bool settled(machine& a, machine& b);
  // P1, P2, P6 on a pair at rest.
  void check_rest(machine& a, machine& b);

 private:
  struct known {
    // The newest state seen on this incarnation: stored decides, then touched.
    version stored, touched;
    bool visible = false;
    bool older_than(const engine::item_meta& m) const {
      return stored != m.stored ? stored < m.stored : touched < m.touched;
    }
    void learn(const engine::item_meta& m) {
      if (!older_than(m)) return;
      stored = m.stored;
      touched = m.touched;
    }
  };
  static std::string describe(machine& m, const std::string& key);

  // The key was last written before `other` was: by the world's time, which no node knows. With
  // clocks apart a later write may have the lower version; that it loses is the rule, that it stays
  // where the winner has expired, or was deleted and forgotten, is no resurrection.
  bool written_before(const std::string& key, version v, version other) const;

  const world& world_;
  const std::vector<std::string> keys_;
  const bool may_evict_;
  const bool may_expire_;
  std::map<std::string, std::map<version, std::string>> values_;  // by key and version
  std::map<std::string, std::map<version, micros>> written_;      // when each version was issued
  std::map<std::string, version> deletes_;                        // the last one anywhere
  std::map<host_id, std::map<std::string, known>> seen_;
};

}  // namespace tandem::sim
