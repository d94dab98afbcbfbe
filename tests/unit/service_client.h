// A client of a connection without a socket, for tests: it cuts what it sends into pieces of any
// size and takes replies in steps of any size, as a network would.
#pragma once

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/prng.h"
#include "common/service/ack_gate.h"
#include "common/service/connection.h"
#include "common/service/credentials.h"
#include "common/service/routes.h"

namespace tandem::test {

constexpr std::uint32_t noon_seconds = 1'800'000'000;
constexpr instant noon{wall_time(std::chrono::seconds(noon_seconds)), {}};
constexpr instant after(std::chrono::milliseconds time) {
  return {noon.wall + time, noon.steady + time};
}
constexpr instant after(std::uint32_t seconds) {
  return after(std::chrono::seconds(seconds));
}

// The process around the connection.
class test_server : public service::server {
 public:
  explicit test_server(std::unique_ptr<service::ack_gate> acks = nullptr,
                       std::unique_ptr<service::write_routes> routing = nullptr)
      : router(std::move(routing)), gate(std::move(acks)) {}
  service::process_facts facts() const override {
    service::process_facts facts;
    facts.pid = 42;
    facts.rusage_user = 1.234567;
    facts.verbosity = verbosity;
    return facts;
  }
  const std::vector<service::worker_statistics*>& workers() const override { return workers_; }
  std::vector<service::stat_row> settings() const override {
    return {{"tcpport", "11211"}, {"idle_timeout", "60"}};
  }
  std::vector<service::stat_row> replication() const override {
    return {{"replication", "MASTER"}, {"repcached_version", "2.3.1"}, {"link", "up"}};
  }
  service::command_policy policy() const override { return allowed; }
  bool authenticate(std::string_view user, std::string_view password) override {
    return users.accept(user, password);
  }
  void flush_requested(bool was_allowed) override { flushes.push_back(was_allowed); }
  void shut_down(bool graceful) override { shutdowns.push_back(graceful); }
  void set_verbosity(int level) override { verbosity = level; }
  void reset_statistics() override { ++resets; }
  void mutated() override { ++mutations; }
  service::ack_gate* acks() noexcept override { return gate.get(); }
  const service::write_routes* routes() noexcept override { return router.get(); }
  void acknowledgement_late() override { ++late_acknowledgements; }

  service::worker_statistics statistics;
  service::command_policy allowed;
  service::credentials users;
  std::vector<bool> flushes;    // whether each was allowed
  std::vector<bool> shutdowns;  // whether each was graceful
  int verbosity = 0;
  int resets = 0;
  int mutations = 0;
  int late_acknowledgements = 0;
  std::unique_ptr<service::write_routes> router;  // null: every command is executed here
  std::unique_ptr<service::ack_gate> gate;        // null: replies do not wait for a peer

 private:
  std::vector<service::worker_statistics*> workers_{&statistics};
};

inline service::store_options small_store() {
  service::store_options options;
  options.memory_bytes = std::size_t{16} << 20;
  options.journal_bytes = std::size_t{64} << 10;
  return options;
}

// A node with one connection.
class client {
 public:
  explicit client(const service::store_options& options = small_store(),
                  const service::connection_limits& limits = {})
      : data(options), connection(data, host.statistics, host, limits) {
    data.set_watchers(host.watchers());
  }
  // Replies wait for a peer as `gate` says.
  client(const service::store_options& options, const service::connection_limits& limits,
         std::unique_ptr<service::ack_gate> gate)
      : host(std::move(gate)), data(options), connection(data, host.statistics, host, limits) {
    data.set_watchers(host.watchers());
    data.set_acks(*host.gate);
  }

  // Commands go where `routes` says.
  explicit client(std::unique_ptr<service::write_routes> routes)
      : host(nullptr, std::move(routes)),
        data(small_store()),
        connection(data, host.statistics, host, {}) {
    data.set_watchers(host.watchers());
  }

  // How replies are taken: everything at once, or a random few bytes at a time.
  bool takes_random_steps = false;
  // Nothing is taken at all.
  bool deaf = false;

  // Sends `bytes` in pieces of at most `piece`, obeying wants_read(), and returns what came back.
  // What could not be sent (the connection closed, or reads no more) is dropped.
  std::string send(std::string_view bytes, std::size_t piece, instant now = noon) {
    replies_.clear();
    while (!bytes.empty()) {
      settle(now);
      if (!connection.wants_read()) break;
      const std::span<char> room = connection.prepare();
      const std::size_t n = std::min({bytes.size(), piece, room.size()});
      std::memcpy(room.data(), bytes.data(), n);
      bytes.remove_prefix(n);
      connection.received(n, now);
    }
    unsent = bytes.size();
    settle(now);
    return replies_;
  }
  std::string send(std::string_view bytes) { return send(bytes, std::string_view::npos); }

  // What the owner of the socket does between two reads.
  void settle(instant now) {
    take();
    while (connection.has_more()) {
      connection.resume(now);
      take();
    }
  }

  // The peer's answer comes; returns what that makes sendable.
  std::string answer(replication::forward_outcome outcome, std::string_view bytes, instant now) {
    replies_.clear();
    connection.forwarded(outcome, bytes, now);
    settle(now);
    return replies_;
  }

  // What has become sendable since the last call, after another look at the gate.
  std::string look(instant now) {
    replies_.clear();
    connection.look(now);
    settle(now);
    return replies_;
  }

  std::size_t unsent = 0;  // bytes of the last send() that were not received

  test_server host;
  service::store data;
  service::connection connection;

 private:
  void take() {
    while (!deaf && connection.has_output()) {
      std::array<std::string_view, 4> pieces;
      const std::size_t count = connection.output(std::span(pieces).first(1 + random_.below(4)));
      std::string together;
      for (std::size_t i = 0; i < count; ++i) together.append(pieces[i]);
      const std::size_t n =
          takes_random_steps ? 1 + random_.below(together.size()) : together.size();
      replies_.append(together, 0, n);
      connection.sent(n);
    }
  }

  std::string replies_;
  prng random_{1};
};

// A storage command with its block.
inline std::string set(const std::string& key, const std::string& value,
                       const std::string& verb = "set") {
  return verb + " " + key + " 0 0 " + std::to_string(value.size()) + "\r\n" + value + "\r\n";
}

// What a get answers for one key, without the END.
inline std::string hit(const std::string& key, const std::string& value) {
  return "VALUE " + key + " 0 " + std::to_string(value.size()) + "\r\n" + value + "\r\n";
}

// The value of one row of a `stats` answer; empty: there is no such row.
inline std::string stat(client& c, const std::string& command, const std::string& name) {
  const std::string reply = c.send(command + "\r\n");
  const std::string row = "STAT " + name + " ";
  const std::size_t at = reply.find(row);
  if (at == std::string::npos) return "";
  return reply.substr(at + row.size(), reply.find('\r', at) - at - row.size());
}

}  // namespace tandem::test
