#include "tests/sim/network.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace tandem::sim {

namespace {
constexpr std::size_t kernel_buffer = 96 << 10;
constexpr micros connect_timeout = 1 * second;
constexpr micros retry = 20 * milli;  // how often a blocked direction is tried again
}  // namespace

connection_id network::connect(host_id from, host_id to) {
  const connection_id id = next_id_++;
  const micros latency = world_.between(50, 3 * milli);
  if (blocked(from, to) || blocked(to, from)) {
    world_.after(connect_timeout, [this, id, from] {
      if (hosts_[from]) hosts_[from]->on_connect_failed(id, "timed out");
    });
    return id;
  }
  world_.after(latency, [this, id, from, to, latency] {
    host* target = hosts_[to];
    if (target == nullptr || !target->listening()) {
      world_.after(latency, [this, id, from] {
        if (hosts_[from]) hosts_[from]->on_connect_failed(id, "refused");
      });
      return;
    }
    connection& c = connections_[id];
    c.hosts[0] = from;
    c.hosts[1] = to;
    c.open[1] = true;
    c.established = true;
    target->on_accepted(id);
    world_.after(latency, [this, id, from] {
      const auto found = connections_.find(id);
      if (found == connections_.end()) {
        if (hosts_[from]) hosts_[from]->on_connect_failed(id, "reset");
        return;
      }
      found->second.open[0] = true;
      if (hosts_[from]) hosts_[from]->on_connected(id);
      schedule(id, 0);
    });
  });
  return id;
}

void network::send(connection_id id, int end, std::string bytes) {
  const auto found = connections_.find(id);
  if (found == connections_.end() || bytes.empty() || found->second.to[1 - end].cut) return;
  found->second.to[1 - end].waiting.push_back(std::move(bytes));
  fill(id, 1 - end);
}

// Moves bytes from the application into the kernel's buffer, as fragments on the wire.
void network::fill(connection_id id, int to_end) {
  connection& c = connections_.at(id);
  direction& d = c.to[to_end];
  std::size_t taken = 0;
  while (!d.waiting.empty() && d.flying_bytes < kernel_buffer) {
    std::string& front = d.waiting.front();
    const std::size_t most = 1 + world_.random.below(world_.random.chance(100) ? 60 : 32'768);
    const std::size_t n = std::min(front.size(), most);
    d.last_arrival = std::max(d.last_arrival, world_.now() + world_.between(50, 3 * milli));
    d.flying.emplace_back(d.last_arrival, front.substr(0, n));
    d.flying_bytes += n;
    taken += n;
    if (n == front.size())
      d.waiting.pop_front();
    else
      front.erase(0, n);
  }
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
  if (d.delivering || !c.open[to_end] || (d.flying.empty() && !d.finished)) return;
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
  if (!c.open[to_end]) return;
  if (blocked(c.hosts[1 - to_end], c.hosts[to_end])) {
    d.delivering = true;
    world_.after(retry, [this, id, to_end] { deliver(id, to_end); });
    return;
  }
  host* target = hosts_[c.hosts[to_end]];
  if (d.flying.empty()) {
    if (d.finished && d.waiting.empty()) lose(id, to_end, "closed by peer");
    return;
  }
  std::string bytes = std::move(d.flying.front().second);
  d.flying.pop_front();
  d.flying_bytes -= bytes.size();
  if (target) target->on_bytes(id, to_end, bytes);
  if (!connections_.contains(id)) return;
  fill(id, to_end);
}

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
      if (c.hosts[end] == id) {
        c.open[end] = false;
        c.to[end].flying.clear();
        c.to[1 - end].waiting.clear();  // never reached the kernel
        ends.emplace_back(cid, 1 - end);
      }
  for (const auto& [cid, end] : ends) {
    if (!reset) continue;
    const auto other = connections_.at(cid).hosts[end];
    const connection_id c = cid;
    const int e = end;
    world_.after(world_.between(100, 20 * milli), [this, c, e, other, id] {
      if (!blocked(id, other)) lose(c, e, "connection reset");
    });
  }
}

void network::block(host_id from, host_id to, bool blocked) {
  if (blocked)
    blocked_[{from, to}] = true;
  else
    blocked_.erase({from, to});
}

void network::heal() {
  blocked_.clear();
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
      d.waiting.clear();
      d.cut = true;
      world_.after(world_.between(100, 400 * milli),
                   [this, id, end] { lose(id, end, "connection reset"); });
    }
}

}  // namespace tandem::sim
