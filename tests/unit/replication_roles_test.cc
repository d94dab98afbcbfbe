// The table of role.h, every state with every event, as transcripts:
// tests/unit/transcripts/roles.txt is what node::step did when it was last read by a human. After a
// change that is meant, run this test with TANDEM_WRITE_TRANSCRIPTS=1 and read the difference.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "tests/unit/catch.h"
#include "tests/unit/replication_transcript.h"

using namespace tandem;
using namespace tandem::replication;
using transcript::play;

namespace {

constexpr std::uint64_t peer_run = 200;
constexpr milliseconds moment{20}, grace{100}, dead_time{1200}, join_time{3100}, give_up{10100};

struct reached_state {
  const char* name;
  bool hooks;
  std::function<void(play&)> reach;
};
struct event_of_play {
  const char* name;
  bool on_link;  // makes sense on a link only
  std::function<void(play&)> happen;
};

standing peer_in_charge(std::uint64_t term) {
  return {true, true, true, term, 0, peer_run};
}
standing peer_joining() {
  return {false, false, false, 0, 0, peer_run};
}

void follow(play& p) {
  p.step(event::started{});
  p.meet(peer_in_charge(5));
}
void be_slave(play& p) {
  follow(p);
  p.say_in_sync();
  p.pass(moment, true);
}
void lose_master(play& p) {
  be_slave(p);
  p.break_link();
}
void be_alone(play& p) {
  p.step(event::started{});
  p.pass(join_time, false);
}
void lead(play& p) {
  be_alone(p);
  p.meet(peer_joining());
  p.say_in_sync();
  p.pass(moment, true);
}

const std::vector<reached_state>& states() {
  static const std::vector<reached_state> all = {
      {"INIT", false, [](play& p) { p.step(event::started{}); }},
      {"SYNCING", false, follow},
      {"INIT, once SYNCING", false,
       [](play& p) {
         follow(p);
         p.break_link();
       }},
      {"SLAVE", false, be_slave},
      {"SLAVE without a link", false, lose_master},
      {"SLAVE that has asked for a switchover", false,
       [](play& p) {
         be_slave(p);
         p.command("switchover");
       }},
      {"SLAVE that is ready to take over", false,
       [](play& p) {
         be_slave(p);
         p.say(frame_type::handover, handover_step::prepare, 6);
       }},
      {"SLAVE, drained", false,
       [](play& p) {
         be_slave(p);
         p.command("drain");
       }},
      {"MASTER alone", false, be_alone},
      {"MASTER", false, lead},
      {"MASTER whose peer is being filled", false,
       [](play& p) {
         p.set_acknowledging(false);
         lead(p);
       }},
      {"MASTER that prepares a switchover", false,
       [](play& p) {
         lead(p);
         p.command("switchover");
       }},
      {"MASTER that waits for acknowledgements before it gives", false,
       [](play& p) {
         lead(p);
         p.set_acknowledging(false);
         const service::hashed_key k("key");
         p.data().lock(k, p.now()).put(k, 0, 0, "value");
         p.command("switchover");
         p.say(frame_type::handover_answer, handover_step::ready, 2);
         p.pass(milliseconds(5), true);  // the batch of the write is due
       }},
      {"MASTER that has given its reign away", false,
       [](play& p) {
         lead(p);
         p.command("switchover");
         p.say(frame_type::handover_answer, handover_step::ready, 2);
       }},
      {"once MASTER, has given its reign away and lost the link", false,
       [](play& p) {
         lead(p);
         p.command("switchover");
         p.say(frame_type::handover_answer, handover_step::ready, 2);
         p.break_link();
       }},
      {"INIT, pre_promote runs", true,
       [](play& p) {
         p.step(event::started{});
         p.pass(join_time, false);
       }},
      {"SLAVE without a link, pre_promote runs", true,
       [](play& p) {
         lose_master(p);
         p.pass(grace, false);
       }},
      {"SLAVE without a link, pre_promote has vetoed", true,
       [](play& p) {
         lose_master(p);
         p.pass(grace, false);
         p.finish_hook(false);
       }},
      {"SLAVE that asks pre_promote for a switchover", true,
       [](play& p) {
         be_slave(p);
         p.say(frame_type::handover, handover_step::prepare, 6);
       }},
      {"MASTER with hooks", true,
       [](play& p) {
         p.step(event::started{});
         p.pass(join_time, false);
         p.finish_hook(true);
         p.meet(peer_joining());
         p.say_in_sync();
         p.pass(moment, true);
       }},
  };
  return all;
}

event_of_play command(const char* text) {
  return {text, false, [text](play& p) { p.command(text); }};
}

event_of_play the_peer_says(const char* name, frame_type type, handover_step step,
                            std::uint64_t term) {
  const bool says_why = step == handover_step::cancel || step == handover_step::refused;
  return {name, true,
          [=](play& p) { p.say(type, step, term, says_why ? "the reason" : std::string()); }};
}

const std::vector<event_of_play>& events() {
  constexpr auto question = frame_type::handover, answer = frame_type::handover_answer;
  static const std::vector<event_of_play> all = {
      {"the attempt to connect fails", false, [](play& p) { p.fail_dial(); }},
      {"the peer comes, empty", false, [](play& p) { p.meet(peer_joining()); }},
      {"the peer comes, in charge of term 9", false, [](play& p) { p.meet(peer_in_charge(9)); }},
      {"the peer comes, a slave in sync that resumes", false,
       [](play& p) {
         p.meet({false, true, true, 1, 0, peer_run}, true);
       }},
      {"another process comes in the peer's place, in charge of nothing", false,
       [](play& p) {
         p.meet({true, true, false, 1, 0, peer_run + 1});
       }},
      {"the peer says that everything is here", true, [](play& p) { p.say_in_sync(); }},
      {"the peer acknowledges everything", true, [](play& p) { p.set_acknowledging(true); }},
      {"the link is closed", true, [](play& p) { p.break_link(); }},
      {"1.2 s without a word", false, [](play& p) { p.pass(dead_time, false); }},
      {"10.1 s pass, the peer lives", false, [](play& p) { p.pass(give_up, true); }},
      the_peer_says("the peer says ask", question, handover_step::ask, 0),
      the_peer_says("the peer says prepare 6", question, handover_step::prepare, 6),
      the_peer_says("the peer says take 6", question, handover_step::take, 6),
      the_peer_says("the peer says cancel 6", question, handover_step::cancel, 6),
      the_peer_says("the peer says ready 2", answer, handover_step::ready, 2),
      the_peer_says("the peer says taken 2", answer, handover_step::taken, 2),
      the_peer_says("the peer says refused 2", answer, handover_step::refused, 2),
      {"the hook agrees", false, [](play& p) { p.finish_hook(true); }},
      {"the hook does not agree", false, [](play& p) { p.finish_hook(false); }},
      command("switchover"),
      command("promote"),
      command("promote force"),
      command("demote"),
      command("drain"),
      command("drain force"),
      command("undrain"),
  };
  return all;
}

std::string standing_of(const play& p) {
  const node_status s = p.status();
  return std::string(to_string(s.role)) + ", term " + std::to_string(s.term) +
         (s.linked ? ", linked" : "") + (s.serving ? ", serving" : "") +
         (s.draining ? ", drained" : "") + (s.changing.empty() ? "" : ", " + s.changing);
}

std::string transcript_of(const reached_state& from, const event_of_play& what) {
  play p(transcript::actor(from.hooks));
  from.reach(p);
  p.take();
  std::string text = std::string("-- ") + what.name + "\n";
  if (what.on_link && !p.linked()) return "";  // it cannot be
  what.happen(p);
  for (const std::string& line : p.take()) text += "   " + line + "\n";
  return text + "   = " + standing_of(p) + "\n";
}

}  // namespace

TEST_CASE("every state with every event does what the transcripts say") {
  std::string text;
  for (const reached_state& from : states()) {
    play p(transcript::actor(from.hooks));
    from.reach(p);
    text += std::string("\n== ") + from.name + "\n   (" + standing_of(p) + ")\n";
    for (const event_of_play& what : events()) text += transcript_of(from, what);
  }
  const std::string path = std::string(MEMTANDEM_SOURCE_DIR) + "/tests/unit/transcripts/roles.txt";
  if (std::getenv("TANDEM_WRITE_TRANSCRIPTS") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  REQUIRE(file.good());
  const std::string golden{std::istreambuf_iterator<char>(file), {}};
  std::istringstream is(text), was(golden);
  std::string title, now, then;
  for (;;) {
    const bool more = static_cast<bool>(std::getline(is, now));
    if (!std::getline(was, then)) then.clear();
    if (!more) break;
    if (now.starts_with("==") || now.starts_with("--")) title = now;
    INFO("after: " << title);
    REQUIRE(now == then);
  }
  REQUIRE(text == golden);
}

TEST_CASE("a command that waits is answered when its time is over, once") {
  play p(transcript::actor(true));
  lose_master(p);
  p.pass(grace, false);
  p.take();
  p.command("promote");
  REQUIRE(p.take().empty());  // pre_promote is asked already
  p.pass(milliseconds(13100), false);
  const std::vector<std::string> said = p.take();
  REQUIRE(std::count(said.begin(), said.end(), "answers ERROR it took too long") == 1);
  p.finish_hook(true);
  for (const std::string& line : p.take()) REQUIRE_FALSE(line.starts_with("answers"));
  REQUIRE(p.status().role == role_state::master);
}

TEST_CASE("more commands than can wait are told so") {
  play p(transcript::actor(true));
  lose_master(p);
  p.pass(grace, false);
  p.take();
  for (int i = 0; i < 64; ++i) p.command("promote");
  REQUIRE(p.take().empty());
  p.command("status");
  REQUIRE(p.take() == std::vector<std::string>{"answers ERROR too many commands are under way"});
  p.finish_hook(true);
  const std::vector<std::string> said = p.take();
  REQUIRE(std::count(said.begin(), said.end(), "answers OK") == 64);
}
