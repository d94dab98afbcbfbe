#include "common/replication/role.h"

#include <algorithm>
#include <tuple>

namespace tandem::replication {

std::string_view to_string(role_state role) noexcept {
  switch (role) {
    case role_state::init:
      return "INIT";
    case role_state::syncing:
      return "SYNCING";
    case role_state::slave:
      return "SLAVE";
    case role_state::master:
      return "MASTER";
  }
  return "?";
}

bool leads(const standing& a, const standing& b) noexcept {
  const auto rank = [](const standing& s) {
    return std::tuple(s.in_charge, s.in_charge && s.complete && s.has_data,
                      s.in_charge && s.has_data, s.term, s.complete, s.has_data);
  };
  if (rank(a) != rank(b)) return rank(a) > rank(b);
  return std::tie(a.node_id, a.run_id) < std::tie(b.node_id, b.run_id);
}

std::uint64_t term_after(const standing& winner, const standing& loser) noexcept {
  if (winner.in_charge && winner.term >= loser.term) return winner.term;
  return std::max(winner.term, loser.term) + 1;
}

}  // namespace tandem::replication
