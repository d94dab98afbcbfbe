// The inside of node.h: sessions, role, and the two data streams of the session that is
// established.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/prng.h"
#include "common/replication/auditor.h"
#include "common/replication/clock_offset.h"
#include "common/replication/forwards.h"
#include "common/replication/handover.h"
#include "common/replication/node.h"
#include "common/replication/receiver.h"
#include "common/replication/sender.h"
#include "common/replication/session.h"

namespace tandem::replication {

// The first attempt after a lost link comes at once, jittered, so that a slave learns before its
// grace is over whether its master lives.
constexpr milliseconds redial_delay{10};
// How often the progress of a scan is logged.
constexpr milliseconds report_interval{3000};

class node::core {
 public:
  core(const node_options& options, data_port& data, std::uint64_t seed);

  std::vector<any_effect> step(const any_event& what, instant now);
  steady_time deadline() const;
  node_status status(instant now) const;
  bool waits_for_mutation() const;

 private:
  // --- events (core.cc) ------------------------------------------------------------------------
  void on(const event::started&);
  void on(const event::tick&);
  void on(const event::dialed& e);
  void on(const event::dial_failed& e);
  void on(const event::accepted& e);
  void on(const event::received& e);
  void on(const event::sent& e);
  void on(const event::closed& e);
  void on(const event::mutated&);
  void on(const event::listening&);
  void on(const event::command& e);
  void on(const event::ack_late&);
  void on(const event::rekeyed& e);
  void on(const event::hook_done& e);
  void on(const event::forward& e);
  void on(const event::executed& e);
  void on(const event::fenced& e);

  void check_sessions();
  // Whether it looks for somebody.
  bool dials() const noexcept { return !options_.peer.empty() && (!options_.guest || visits()); }
  bool visits() const noexcept {
    return options_.guest && options_.while_syncing == syncing_mode::read_through;
  }
  void check_dial();
  void check_alone();
  void upkeep();
  void pump();
  void hand_over();

  enum class loss : std::uint8_t { silence, closed };

  // --- the door (admission.cc); false: the session is gone ---------------------------------------
  void open_session(session_id id, bool dialed, const std::string& peer, const nonce& fresh);
  void make_room(const std::string& newcomer);
  bool on_handshake(session& s, const frame& f);
  bool on_hello(session& s, std::string_view payload);
  bool on_proof(session& s, std::string_view payload);
  void say_proof(session& s);
  bool admit(session& s, hello theirs);
  static bool is_visit(const session& s);
  bool receive_visitor(session& s);
  void note_stranger(effect::level severity, std::string text);

  // --- while linked (core_watch.cc) ------------------------------------------------------------
  void report_progress();
  void check_clocks();
  void pong(session& s, std::string_view ping) const;
  void learn_clock(std::string_view pong);
  void check_audit();
  void end_audit();
  bool on_audit(session& s, const frame& f);
  auditor::speaker to_peer();
  std::chrono::seconds clocks_apart_by() const;

  // --- handshake (handshake.cc) ----------------------------------------------------------------
  hello introduce() const;
  standing stands() const;
  // False: the session is gone.
  bool on_frame(session& s, const frame& f);
  bool on_data(session& s, const frame& f);
  bool resolve_duplicates(session& s);
  void resolve_node_ids(const session& s);
  // True: what was said in it holds no more, and the session is gone.
  bool outdated(session& s);
  void say_anew(session& s);
  static bool know_each_other(const session& s);
  bool establish(session& s);
  bool begin_visit(session& s);
  void end_visit();
  void check_visit();
  bool prefer(const session& a, const session& b) const;
  void refuse(session& s, const std::string& reason, effect::level severity);
  // No reason: not worth a line.
  void close(session& s, const std::string& reason, loss how = loss::closed);
  // What was applied and is kept, if anything new.
  void acknowledge(session& s);
  void schedule_dial(milliseconds delay);
  void back_off();

  // --- role (roles.cc) -------------------------------------------------------------------------
  void note(effect::level severity, std::string text);
  void serve(bool open);
  void take_role(role_state role, std::uint64_t term, const std::string& reason);
  void meet(const session& s, bool known, bool resume);
  void filled();
  void lost(loss how, const std::string& reason);
  void live_as_guest();
  // Becomes master without a peer, unless a hook vetoes.
  void stand_alone(bool complete, const std::string& reason);
  void reign(bool complete, const std::string& reason);
  // The term of a reign that would begin now.
  std::uint64_t next_reign() const noexcept { return std::max(term_, pledged_) + 1; }
  void take_back();
  void check_promotion();
  void drop_promotion(const std::string& why);
  void tell_role();
  // 0: there is no such hook, and nothing to wait for.
  using hook_variables = std::vector<std::pair<std::string, std::string>>;
  std::uint64_t run_hook(hook which, std::uint64_t term, const std::string& reason,
                         hook_variables more = {});
  void start_draining();
  void begin_split();
  void check_split();

  // --- planned hand-over (handover.cc) ---------------------------------------------------------
  enum class stage : std::uint8_t {
    asked,      // slave: the master was asked for it
    offered,    // slave: pre_promote runs
    ready,      // slave: waits to be given the reign
    preparing,  // master: waits for the peer to be ready
    draining,   // master: waits for acknowledgements
    fencing,    // master: waits until no client's change is being executed
    closing,    // master: waits for the acknowledgements of the last of them
    given,      // once master: waits to hear that the peer reigns
  };
  enum class handover_goal : std::uint8_t { switchover, drain };
  struct handover {
    stage at = stage::offered;
    std::uint64_t term = 0;  // of the reign to come
    steady_time by{};        // given up then, in the stages where that can be
    handover_goal goal = handover_goal::switchover;
    std::vector<journal::position> upto = {};  // to be acknowledged before it is given
    std::uint64_t hook = 0;
    std::vector<std::uint64_t> orders = {};  // commands that wait for the end
  };
  std::string handover_obstacle() const;
  void begin_handover(handover_goal goal);
  void ask_for_handover(std::uint64_t id);
  bool on_handover(session& s, const frame& f);
  void on_handover_question(const handover_message& m);
  void asked_to_prepare(std::uint64_t term);
  void say_ready();
  void told_to_take(std::uint64_t term);
  void asked_to_hand_over();
  void peer_is_ready(std::uint64_t term);
  void peer_has_taken();
  bool follows() const;
  bool all_acknowledged() const;
  void begin_fence();
  bool fenced() const;
  void give_reign();
  void check_handover();
  steady_time handover_deadline() const;
  void end_handover(bool done, const std::string& why);
  void say(frame_type type, handover_step step, std::uint64_t term, std::string reason);

  // --- operators' commands (commands.cc) -------------------------------------------------------
  struct order {
    std::uint64_t id;
    std::vector<std::string_view> words;  // the verb and its arguments; borrowed from the event
  };
  struct verb;
  static std::span<const verb> verbs();
  // The one answer to a command, unless it has been answered already.
  void answer(std::uint64_t id, bool ok, std::string text);
  // The answer will come within `limit`, or else be that it took too long.
  void answer_later(std::uint64_t id, milliseconds limit);
  void check_orders();
  void order_help(const order& o);
  void order_status(const order& o);
  void order_switchover(const order& o);
  void order_promote(const order& o);
  void order_demote(const order& o);
  void order_drain(const order& o);
  void order_undrain(const order& o);
  static bool forced(const order& o);
  milliseconds handover_answer_limit() const;
  void hand_over_for(const order& o, handover_goal goal);
  void order_audit(const order& o);

  // --- commands for the master (forwarding.cc) ---------------------------------------------------
  write_place place_of_writes() const;
  void check_routes();
  void check_forwards();
  const char* on_forwarded(std::string_view payload);
  void pass_on_answers();
  void answer_guest(const event::executed& e);
  void send_answers(session& s);
  void lose_forwards();

  // --- replies that wait for the peer (acks.cc) --------------------------------------------------
  void check_replies();
  void degrade(const std::string& reason);
  bool caught_up() const;
  void go_alone(bool on);
  void order_alone(const order& o);
  bool hurries() const noexcept {
    return (options_.ack != ack_mode::async && rule_ == reply_rule::when_confirmed) ||
           !answers_.empty();
  }

  session* established();
  // Where clients' commands go to or come from.
  session* executing();
  static std::string describe(const session& s);
  // What another says, short enough for a line.
  static std::string quoted(std::string_view said);

  const node_options options_;
  data_port& data_;
  prng random_;
  secrets secrets_;  // the first proves; empty: nobody has to
  instant now_{};
  std::vector<any_effect> effects_;

  role_state role_ = role_state::init;
  std::uint64_t term_ = 0;
  unsigned node_id_;
  bool complete_ = false;
  bool serving_ = false;
  bool draining_ = false;
  std::string role_reason_;
  bool told_master_ = false;                // what the hooks were told last
  std::uint64_t pledged_ = 0;               // no term up to this may be a new reign of this node's
  std::optional<std::uint64_t> own_reign_;  // handed over and not yet known to be taken
  std::optional<handover> handover_;
  // On its way to be master alone: pre_promote runs, or has vetoed and is asked again.
  struct promotion {
    bool complete = false;
    std::string reason;
    std::uint64_t hook = 0;  // 0: vetoed
    steady_time again{};
    std::vector<std::uint64_t> orders = {};
  };
  std::optional<promotion> promotion_;
  std::uint64_t last_hook_ = 0;
  enum class split_stage : std::uint8_t { none, apart, healing };  // healing: two masters have met
  split_stage split_ = split_stage::none;
  split_report last_split_;
  std::optional<steady_time> join_by_;       // INIT: stand alone then
  std::optional<steady_time> take_over_by_;  // SLAVE without a link: become master then
  steady_time last_step_{};

  std::map<session_id, session> sessions_;
  std::map<session_id, steady_time> handshake_by_;
  std::optional<session_id> established_;
  std::optional<session_id> visit_;
  std::optional<session_id> dialing_;
  session_id next_dial_id_ = 1;
  steady_time next_dial_{};
  milliseconds dial_delay_;
  bool met_itself_ = false;        // said once
  std::string last_dial_failure_;  // said once, not at every attempt
  steady_time stranger_notes_paid_{};
  std::uint64_t peer_run_id_ = 0;  // of the last established peer
  std::string peer_name_;

  sender sender_;
  receiver receiver_;
  expander expander_;
  bool pump_wanted_ = false;
  std::uint64_t mutations_pumped_ = 0;  // when the journals were last read
  bool window_full_ = false;            // pumping waits for an acknowledgement
  steady_time next_batch_{};
  steady_time next_upkeep_{};
  auditor auditor_;
  std::vector<std::uint64_t> audit_orders_;  // commands that wait for the audit under way
  std::optional<steady_time> next_audit_;
  audit_report last_audit_;
  std::uint64_t audits_ = 0;
  clock_offset peer_clock_;
  bool warned_of_clock_ = false;
  steady_time next_report_{};  // of a scan's progress
  bool reported_ = false;      // some was
  instant lost_at_{};

  std::map<std::uint64_t, steady_time> orders_;  // commands not yet answered, and their time limits
  // Until the first look at the link replies wait, which is safe in every mode.
  reply_rule rule_ = reply_rule::when_confirmed;
  bool degraded_ = true;  // semisync: replies do not wait until the peer has caught up
  bool alone_ = false;    // sync: an operator lets it go on without a peer
  std::optional<steady_time> linkless_since_;
  forward_requests requests_;
  // Answers of the master that a client gets when it would find here what they tell of.
  struct heard_answer {
    std::uint64_t number;  // data_port::applied()
    effect::forward_done what;
  };
  std::deque<heard_answer> heard_answers_;
  forward_answers answers_;
  effect::routes routes_;
  bool took_over_ = false;     // master because its master was lost, and has met no peer since
  bool looked_after_ = false;  // this step did the upkeep

  node_status totals_;  // its counters; the rest is filled in by status()
};

}  // namespace tandem::replication
