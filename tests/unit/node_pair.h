// Two nodes wired back to back, for transcripts of the step function: every effect is delivered at
// once and in order, unless the wire is cut; time is a number.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/replication/node.h"
#include "common/service/store.h"

namespace tandem::testing {

using namespace replication;  // NOLINT(google-build-using-namespace)

inline std::string key(int i) {
  return "key" + std::to_string(i);
}

struct side {
  std::unique_ptr<service::store> data;
  std::unique_ptr<node> core;
  std::vector<std::string> log;  // notes of level info and above
  std::vector<effect::answer> answers;
  std::vector<effect::execute> executed;
  std::vector<effect::forward_done> forwarded;
  effect::routes routes;
  std::vector<effect::run_hook> hooks;
  bool serving = false;
  std::optional<session_id> dialing;
  std::map<session_id, session_id> wire;  // our session -> theirs
  session_id next_accepted = 2;
};

struct pair_of_nodes {
  side sides[2];
  std::deque<std::pair<int, any_event>> queue;  // events that follow from the one under way
  bool running = false;
  std::deque<std::string> flying;  // what queued events borrow
  std::int64_t micros = 1'000'000;
  std::int64_t clock_offset[2] = {0, 0};  // of a node's wall clock, in microseconds
  bool cut = false;
  std::uint64_t bytes_left = UINT64_MAX;  // the wire is cut when so many have passed
  std::function<void(int, service::store_options&, node_options&)> configure;
  std::function<data_port&(int, service::store&)> port;  // what replicates the store, if not itself

  instant now(int i = 0) const {
    return {wall_time(std::chrono::seconds(1'800'000'000) +
                      std::chrono::microseconds(micros + clock_offset[i])),
            steady_time(std::chrono::microseconds(micros))};
  }

  void start(int i, bool dials, unsigned node_id) {
    service::store_options so;
    so.memory_bytes = std::size_t{16} << 20;
    so.shards = 2;
    node_options no;
    no.run_id = 100 + node_id + static_cast<std::uint64_t>(micros);
    no.node_id = node_id;
    if (dials) no.peer = "peer:11212";
    if (configure) configure(i, so, no);
    sides[i] = {};
    sides[i].data = std::make_unique<service::store>(so);
    service::store& data = *sides[i].data;
    sides[i].core = std::make_unique<node>(no, port ? port(i, data) : data, 1);
    step(i, event::started{});
  }

  // The process is gone; the other side notices a closed connection.
  void kill(int i) {
    const auto wire = sides[i].wire;
    sides[i] = {};
    side& other = sides[1 - i];
    other.wire.clear();
    if (!other.core) return;
    for (const auto& [ours, theirs] : wire)
      step(1 - i, event::closed{theirs, "closed by the peer"});
  }

  // A middlebox breaks every connection; both notice.
  void reset() {
    const auto wire = sides[1].wire;
    sides[0].wire.clear();
    sides[1].wire.clear();
    for (const auto& [ours, theirs] : wire) {
      step(0, event::closed{theirs, "reset"});
      step(1, event::closed{ours, "reset"});
    }
  }

  void step(int i, const any_event& e) {
    queue.emplace_back(i, e);
    if (std::exchange(running, true)) return;  // the loop below gets to it
    for (; !queue.empty(); queue.pop_front()) {
      const auto [to, what] = queue.front();
      if (!sides[to].core) continue;
      for (const any_effect& effect : sides[to].core->step(what, now(to))) obey(to, effect);
    }
    flying.clear();
    running = false;
  }

  void obey(int i, const any_effect& e) {
    side& self = sides[i];
    side& other = sides[1 - i];
    if (const auto* dial = std::get_if<effect::dial>(&e)) {
      self.dialing = dial->session;
    } else if (const auto* send = std::get_if<effect::send>(&e)) {
      const auto to = self.wire.find(send->session);
      if (bytes_left < send->bytes.size()) cut = true;
      if (to == self.wire.end() || cut) return;
      bytes_left -= send->bytes.size();
      flying.push_back(send->bytes);
      step(i, event::sent{send->session, send->bytes.size()});
      step(1 - i, event::received{to->second, flying.back()});
    } else if (const auto* close = std::get_if<effect::close>(&e)) {
      const auto to = self.wire.find(close->session);
      if (to == self.wire.end()) return;
      const session_id theirs = to->second;
      self.wire.erase(to);
      other.wire.erase(theirs);
      if (!cut) step(1 - i, event::closed{theirs, "closed by the peer"});
    } else if (const auto* serve = std::get_if<effect::serve>(&e)) {
      self.serving = serve->open;
    } else if (const auto* execute = std::get_if<effect::execute>(&e)) {
      self.executed.push_back(*execute);
    } else if (const auto* done = std::get_if<effect::forward_done>(&e)) {
      self.forwarded.push_back(*done);
    } else if (const auto* run = std::get_if<effect::run_hook>(&e)) {
      self.hooks.push_back(*run);
    } else if (const auto* routes = std::get_if<effect::routes>(&e)) {
      self.routes = *routes;
    } else if (const auto* answer = std::get_if<effect::answer>(&e)) {
      self.answers.push_back(*answer);
    } else if (const auto* note = std::get_if<effect::note>(&e)) {
      if (note->severity != effect::level::debug) self.log.push_back(note->text);
    }
  }

  // Lets time pass in steps of 10 ms: ticks that are due and dials that were asked for.
  void pass(std::chrono::milliseconds time) {
    for (const auto end = micros + time.count() * 1000; micros < end; micros += 10'000)
      for (int i = 0; i < 2; ++i) {
        side& s = sides[i];
        if (!s.core) continue;
        if (s.dialing) {
          const session_id id = *s.dialing;
          s.dialing.reset();
          side& other = sides[1 - i];
          if (cut || !other.core) {
            step(i, event::dial_failed{id, "refused"});
          } else {
            const session_id theirs = std::exchange(other.next_accepted, other.next_accepted + 2);
            s.wire[id] = theirs;
            other.wire[theirs] = id;
            // Both ends are there before the first byte arrives.
            queue.emplace_back(1 - i, event::accepted{theirs, "10.0.0.9:40000"});
            step(i, event::dialed{id});
          }
        }
        if (s.core->waits_for_mutation()) step(i, event::mutated{});
        if (s.core->deadline() <= now(i).steady) step(i, event::tick{});
      }
  }

  node_status status(int i) const { return sides[i].core->status(now(i)); }
  role_state role(int i) const { return status(i).role; }
  std::uint64_t term(int i) const { return status(i).term; }

  void put(int i, const std::string& key, const std::string& bytes) {
    const service::hashed_key k(key);
    sides[i].data->lock(k, now(i)).put(k, 0, 0, bytes);
  }
  void remove(int i, const std::string& key) {
    const service::hashed_key k(key);
    sides[i].data->lock(k, now(i)).remove(k);
  }
  std::string get(int i, const std::string& key) {
    const service::hashed_key k(key);
    auto locked = sides[i].data->lock(k, now(i));
    const auto item = locked.find(k, false);
    return item ? std::string(item->value) : "(miss)";
  }
  std::vector<std::string> take_log(int i) { return std::exchange(sides[i].log, {}); }
  bool logged(int i, const std::string& part) const {
    return std::any_of(sides[i].log.begin(), sides[i].log.end(), [&](const std::string& line) {
      return line.find(part) != std::string::npos;
    });
  }
};

}  // namespace tandem::testing
