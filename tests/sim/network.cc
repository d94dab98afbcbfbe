#include "tests/sim/network.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace tandem::sim {

namespace {
constexpr micros connect_timeout = 1 * second;
constexpr micros retry = 20 * milli;  // how often a blocked direction is tried again
}  // namespace

// --- connecting ----------------------------------------------------------------------------------

connection_id network::connect(host_id from, host_id to) {
  const connection_id id = next_id_++;
  knock(id, from, to, connect_timeout);
  return id;
}

void network::fail(connection_id id, host_id from, const std::string& why) {
  if (hosts_[from]) hosts_[from]->on_connect_failed(id, why);
}

// The dialler's first packet, which is sent again while nothing comes back.
void network::knock(connection_id id, host_id from, host_id to, micros patience) {
  if (patience <= 0) return fail(id, from, "timed out");
  if (blocked(from, to)) {
    world_.after(retry, [=, this] { knock(id, from, to, patience - retry); });
    return;
  }
  world_.after(latency(), [=, this] {
    host* target = hosts_[to];
    if (target == nullptr || !target->listening()) {
      if (blocked(to, from))
        world_.after(patience, [=, this] { fail(id, from, "timed out"); });
      else
        world_.after(latency(), [=, this] { fail(id, from, "refused"); });
      return;
    }
    connection& c = connections_[id];
    c.hosts[0] = from;
    c.hosts[1] = to;
    c.open[1] = true;
    target->on_accepted(id);
    world_.after(latency(), [=, this] { answer(id, from, patience); });
  });
}

// The acceptor's answer. If it is lost for too long the acceptor is left with half a connection.
void network::answer(connection_id id, host_id from, micros patience) {
  const auto found = connections_.find(id);
  // The acceptor has given it up meanwhile; who dialled hears of its silence at least.
  if (found == connections_.end()) return fail(id, from, "reset");
  connection& c = found->second;
  if (c.unknown[0]) return;  // the dialler is gone
  if (patience <= 0) {
    c.unknown[0] = true;
    return fail(id, from, "timed out");
  }
  if (blocked(c.hosts[1], from)) {
    world_.after(retry, [=, this] { answer(id, from, patience - retry); });
    return;
  }
  if (!c.open[1] && c.to[0].flying.empty() && !c.to[0].finished) {
    connections_.erase(found);
    return fail(id, from, "reset");
  }
  c.open[0] = true;
  if (hosts_[from]) hosts_[from]->on_connected(id);
  if (connections_.contains(id)) schedule(id, 0);
}

// --- carrying ------------------------------------------------------------------------------------

void network::send(connection_id id, int end, std::string bytes) {
  const auto found = connections_.find(id);
  if (found == connections_.end() || bytes.empty()) return;
  direction& d = found->second.to[1 - end];
  if (d.cut) return;
  d.waiting_bytes += bytes.size();
  waiting_max_ = std::max(waiting_max_, d.waiting_bytes);
  d.waiting.push_back(std::move(bytes));
  fill(id, 1 - end);
}

// Moves bytes from the application into the kernel's buffer, as fragments on the wire. It waits for
// a good part of the buffer to be free, as kernels do: else there would be crumbs only.
void network::fill(connection_id id, int to_end) {
  connection& c = connections_.at(id);
  direction& d = c.to[to_end];
  std::size_t taken = 0;
  const bool roomy = d.flying_bytes <= options_.kernel_buffer / 2;
  while (roomy && !d.waiting.empty() && d.flying_bytes < options_.kernel_buffer) {
    std::string& front = d.waiting.front();
    const std::size_t most = 1 + world_.random.below(world_.random.chance(100) ? 60 : 32'768);
    const std::size_t n =
        std::min({front.size() - d.taken, most, options_.kernel_buffer - d.flying_bytes});
    d.last_arrival = std::max(d.last_arrival, world_.now() + latency());
    if (options_.bytes_per_second != 0)
      d.last_arrival +=
          static_cast<micros>(n * static_cast<std::size_t>(second) / options_.bytes_per_second);
    d.flying_bytes += n;
    taken += n;
    if (n == front.size()) {
      d.flying.emplace_back(d.last_arrival, std::move(front));
    } else {
      d.flying.emplace_back(d.last_arrival, front.substr(d.taken, n));
      d.taken += n;
      if (d.taken < front.size()) continue;
    }
    d.waiting.pop_front();
    d.taken = 0;
  }
  d.waiting_bytes -= taken;
  schedule(id, to_end);
  if (taken == 0) return;
  const host_id sender = c.hosts[1 - to_end];
  world_.after(1, [this, id, to_end, sender, taken] {
    const auto found = connections_.find(id);
    if (found != connections_.end() && found->second.open[1 - to_end] && hosts_[sender])
      hosts_[sender]->on_sent(id, 1 - to_end, taken);
  });
}

void network::schedule(connection_id id, int to_end) {
  connection& c = connections_.at(id);
  direction& d = c.to[to_end];
  if (d.delivering || !(c.open[to_end] || c.unknown[to_end]) || (d.flying.empty() && !d.finished))
    return;
  d.delivering = true;
  const micros when = d.flying.empty() ? world_.now() + 50 : d.flying.front().first;
  world_.at(when, [this, id, to_end] { deliver(id, to_end); });
}

void network::deliver(connection_id id, int to_end) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  connection& c = found->second;
  direction& d = c.to[to_end];
  d.delivering = false;
  if (!c.open[0] && !c.open[1]) {
    connections_.erase(found);
    return;
  }
  if (!c.open[to_end] && !c.unknown[to_end]) return;
  host* target = hosts_[c.hosts[to_end]];
  const bool nobody = c.unknown[to_end] && (target == nullptr || !target->listening());
  if (blocked(c.hosts[1 - to_end], c.hosts[to_end]) || c.held_until > world_.now() || nobody) {
    d.delivering = true;
    world_.after(retry, [this, id, to_end] { deliver(id, to_end); });
    return;
  }
  if (c.unknown[to_end]) {
    // The host is back and has never heard of this connection.
    d.flying.clear();
    world_.after(latency(), [this, id, to_end] { lose(id, 1 - to_end, "connection reset"); });
    return;
  }
  if (d.flying.empty()) {
    if (d.finished && d.waiting.empty()) lose(id, to_end, "closed by peer");
    return;
  }
  const std::string bytes = std::move(d.flying.front().second);
  d.flying.pop_front();
  d.flying_bytes -= bytes.size();
  if (target) target->on_bytes(id, to_end, bytes);
  if (connections_.contains(id)) fill(id, to_end);
}

// --- ending --------------------------------------------------------------------------------------

void network::lose(connection_id id, int end, const std::string& why) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  connection& c = found->second;
  if (!c.open[end]) return;
  c.open[end] = false;
  host* h = hosts_[c.hosts[end]];
  if (!c.open[1 - end] && c.to[1 - end].flying.empty()) connections_.erase(found);
  if (h) h->on_closed(id, end, why);
}

void network::close(connection_id id, int end) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  connection& c = found->second;
  c.open[end] = false;
  c.to[end].flying.clear();
  c.to[1 - end].finished = true;
  schedule(id, 1 - end);
}

void network::host_down(host_id id, bool reset) {
  std::vector<std::pair<connection_id, int>> ends;
  for (auto& [cid, c] : connections_)
    for (int end = 0; end < 2; ++end)
      if (c.hosts[end] == id && !c.unknown[end]) {
        c.open[end] = false;
        c.unknown[end] = true;
        c.to[end].flying.clear();
        c.to[end].flying_bytes = 0;
        c.to[1 - end].forget_waiting();  // it never reached the kernel
        ends.emplace_back(cid, 1 - end);
      }
  for (const auto& [cid, end] : ends) {
    if (!reset) continue;
    const auto other = connections_.at(cid).hosts[end];
    world_.after(world_.between(100, 20 * milli), [this, c = cid, e = end, other, id] {
      if (!blocked(id, other)) lose(c, e, "connection reset");
    });
  }
}

void network::block(host_id from, host_id to, bool blocked) {
  if (blocked)
    blocked_.insert({from, to});
  else
    blocked_.erase({from, to});
}

void network::hold_flows(micros how_long) {
  for (auto& [id, c] : connections_) c.held_until = world_.now() + how_long;
}

void network::heal() {
  blocked_.clear();
  for (auto& [id, c] : connections_) c.held_until = 0;
}

void network::reset_all() {
  std::vector<connection_id> ids;
  for (const auto& [id, c] : connections_) ids.push_back(id);
  for (const connection_id id : ids)
    for (int end = 0; end < 2; ++end) {
      direction& d = connections_.at(id).to[end];
      // Some of what flies may still arrive before the reset does.
      while (!d.flying.empty() && world_.random.chance(600)) {
        d.flying_bytes -= d.flying.back().second.size();
        d.flying.pop_back();
      }
      d.forget_waiting();
      d.cut = true;
      world_.after(world_.between(100, 400 * milli),
                   [this, id, end] { lose(id, end, "connection reset"); });
    }
}

}  // namespace tandem::sim
