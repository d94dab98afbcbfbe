// One node on a stage, its peer played by hand: events go in, and what the node wants done comes
// out as lines of text. Time is a number that the play advances.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/endian.h"
#include "common/replication/frame.h"
#include "common/replication/handover.h"
#include "common/replication/hello.h"
#include "common/replication/node.h"
#include "common/service/store.h"

namespace tandem::replication::transcript {

// An id and what the frame is (forwards.h).
constexpr std::size_t forward_head_bytes = sizeof(std::uint64_t) + 1;

inline node_options actor(bool hooks) {
  node_options o;
  o.run_id = 100;
  o.node_id = 1;
  o.peer = "peer:11212";
  if (hooks) o.hooks = {true, true, true, true};
  return o;
}

class play {
 public:
  explicit play(const node_options& options) : options_(options) {
    service::store_options so;
    so.memory_bytes = std::size_t{16} << 20;
    data_ = std::make_unique<service::store>(so);
    core_ = std::make_unique<node>(options, *data_, 1);
  }

  instant now() const {
    return {wall_time(std::chrono::seconds(1'800'000'000) + std::chrono::microseconds(micros_)),
            steady_time(std::chrono::microseconds(micros_))};
  }
  service::store& data() { return *data_; }
  node_status status() const { return core_->status(now()); }

  // What has been done and said since.
  std::vector<std::string> take() { return std::exchange(lines_, {}); }

  void step(const any_event& what) {
    for (const any_effect& e : core_->step(what, now()))
      std::visit([this](const auto& each) { tell(each); }, e);
    acknowledge();
  }

  // Time passes in small steps. `alive`: the peer pings and answers meanwhile.
  void pass(milliseconds time, bool alive) {
    constexpr std::int64_t step_micros = 20'000;
    for (const auto end = micros_ + time.count() * 1000; micros_ < end;) {
      micros_ += step_micros;
      if (alive && link_) {
        char zero[sizeof(std::int64_t)] = {};
        say(frame_type::pong, {zero, sizeof zero});
      }
      step(event::tick{});
    }
  }

  // The peer connects and introduces itself; the handshake is done if the node agrees.
  void meet(const standing& peer, bool resume = false) {
    link_ = next_session_;
    next_session_ += 2;
    wires_.try_emplace(*link_);
    step(event::accepted{*link_, "10.0.0.9:40000"});
    hello h;
    h.stands = peer;
    h.known_run_id = resume ? options_.run_id : 0;
    h.resumes = resume;
    h.node_id_fixed = true;
    h.clock = now().wall;
    h.cluster = options_.cluster;
    say(frame_type::hello, encode(h));
    if (link_) say(frame_type::accept, std::string(8, 0));
  }

  bool linked() const { return link_.has_value(); }

  void say(frame_type type, std::string_view payload) {
    if (!link_) return;
    std::string bytes;
    append_frame(bytes, type, wires_.at(*link_).next_sequence++, payload);
    step(event::received{*link_, bytes});
  }
  void say(frame_type type, handover_step what, std::uint64_t term, std::string reason = {}) {
    say(type, encode(handover_message{what, term, std::move(reason)}));
  }
  void say_in_sync() { say(frame_type::in_sync, {}); }
  void break_link() {
    if (!link_) return;
    const session_id id = *link_;
    link_.reset();
    step(event::closed{id, "closed by the peer"});
  }
  void fail_dial() {
    if (dialing_) step(event::dial_failed{*std::exchange(dialing_, std::nullopt), "refused"});
  }
  void command(const std::string& text) { step(event::command{next_command_++, text}); }
  void finish_hook(bool ok) { step(event::hook_done{last_hook_, ok, ok ? "" : "exit status 1"}); }

  // Whether the peer confirms what it gets.
  void set_acknowledging(bool on) {
    acknowledging_ = on;
    acknowledge();
  }

 private:
  struct wire {
    std::uint64_t next_sequence = 0;
    frame_reader reader;
    std::optional<std::uint64_t> to_acknowledge;
  };

  void line(std::string text) { lines_.push_back(std::move(text)); }

  void tell(const effect::dial& e) {
    dialing_ = e.session;
    line("dials");
  }
  void tell(const effect::send& e) {
    const auto found = wires_.find(e.session);
    if (found == wires_.end()) return;
    wire& w = found->second;
    w.reader.set_payload_max(frame_payload_max);
    w.reader.feed(e.bytes);
    frame f{};
    while (w.reader.next(f) == frame_reader::status::frame) hear(w, f);
    sent_.emplace_back(e.session, e.bytes.size());
  }
  void tell(const effect::close& e) {
    line("closes the session");
    if (link_ == e.session) link_.reset();
    wires_.erase(e.session);
  }
  void tell(const effect::serve& e) {
    line(e.open ? "opens the client port" : "closes the client port and all clients");
  }
  void tell(const effect::note& e) {
    if (e.severity != effect::level::debug) line("logs \"" + e.text + "\"");
  }
  void tell(const effect::answer& e) {
    line(std::string("answers ") + (e.ok ? "OK" : "ERROR") + (e.text.empty() ? "" : " ") +
         e.text.substr(0, e.text.find('\n')));
  }
  void tell(const effect::run_hook& e) {
    last_hook_ = e.id;
    std::string text = "runs";
    for (const auto& [name, value] : e.variables)
      if (name != "PEER") text += (name == "HOOK" ? " " : " " + name + "=") + value;
    line(text);
  }
  void tell(const effect::close_clients&) { line("closes all clients"); }
  void tell(const effect::routes& e) {
    static constexpr const char* places[] = {"here", "at the master", "nowhere"};
    line(std::string("executes changes ") + places[static_cast<std::size_t>(e.writes)]);
  }
  void tell(const effect::fence& e) { line("asks for a fence, " + std::to_string(e.id)); }
  void tell(const effect::execute& e) { line("executes " + e.bytes); }
  void tell(const effect::forward_done& e) {
    static constexpr const char* outcomes[] = {"answered", "given back", "failed"};
    line(std::string(outcomes[static_cast<std::size_t>(e.outcome)]) + " " + std::to_string(e.id));
  }
  void tell(const effect::drain& e) { line(e.on ? "drains" : "drains no more"); }
  template <class Effect>
  void tell(const Effect&) {}  // of no interest to a role

  void hear(wire& w, const frame& f) {
    switch (f.type) {
      case frame_type::hello:
      case frame_type::accept:
        return;
      case frame_type::refuse:
        return line("says refuse \"" + std::string(f.payload) + "\"");
      case frame_type::handover:
      case frame_type::handover_answer:
        return line("says " + text_of(*decode_handover(f.payload)));
      case frame_type::forward:
        return line("sends on " + std::string(f.payload.substr(forward_head_bytes)));
      case frame_type::forwarded:
        return line(std::string(f.payload[forward_head_bytes - 1] == 2 ? "declines" : "answers"));
      case frame_type::records:
      case frame_type::flush:
      case frame_type::large:
      case frame_type::chunk:
      case frame_type::in_sync:
      case frame_type::inventory_please:
        w.to_acknowledge = f.sequence;
        return;
      default:
        return;
    }
  }

  static std::string text_of(const handover_message& m) {
    static constexpr const char* names[] = {"",       "ask",   "prepare", "take",
                                            "cancel", "ready", "taken",   "refused"};
    return names[static_cast<std::size_t>(m.step)] + (" " + std::to_string(m.term)) +
           (m.reason.empty() ? "" : " \"" + m.reason + "\"");
  }

  void acknowledge() {
    while (!sent_.empty()) {
      const auto [id, bytes] = sent_.back();
      sent_.pop_back();
      step(event::sent{id, bytes});
    }
    if (!link_ || !acknowledging_) return;
    wire& w = wires_.at(*link_);
    if (!w.to_acknowledge) return;
    char bytes[sizeof(std::uint64_t)];
    store_le(bytes, *std::exchange(w.to_acknowledge, std::nullopt));
    say(frame_type::ack, {bytes, sizeof bytes});
  }

  const node_options options_;
  std::unique_ptr<service::store> data_;
  std::unique_ptr<node> core_;
  std::int64_t micros_ = 1'000'000;
  std::vector<std::string> lines_;
  std::map<session_id, wire> wires_;
  std::optional<session_id> link_;
  std::optional<session_id> dialing_;
  session_id next_session_ = 2;
  std::uint64_t next_command_ = 1;
  std::uint64_t last_hook_ = 0;
  bool acknowledging_ = true;
  std::vector<std::pair<session_id, std::size_t>> sent_;
};

}  // namespace tandem::replication::transcript
