#include "tests/sim/machine.h"

#include <algorithm>
#include <utility>

namespace tandem::sim {

using namespace replication;
using namespace std::chrono_literals;

namespace {
constexpr micros start_of_time = 1'800'000'000LL * second;  // a day in 2027
constexpr micros housekeep_every = 100 * milli;
constexpr std::uint64_t look_every = 32;
constexpr std::string_view role_note = "replication: role ";
constexpr std::string_view met_notes[] = {"replication: connect (", "replication: accept ("};

// Takes nothing from the run's randomness: seeds without a secret stay the runs that they were.
nonce nonce_of(std::uint64_t number) {
  nonce fresh;
  prng source(number);
  for (char& c : fresh) c = static_cast<char>(source.next());
  return fresh;
}
}  // namespace

machine::machine(world& w, network& n, const machine_config& config,
                 std::function<void(machine&)> looked, std::function<void(machine&, host_id)> met)
    : world_(w),
      network_(n),
      config_(config),
      looked_(std::move(looked)),
      met_(std::move(met)),
      clock_offset_(config.clock_offset),
      drift_per_million_(config.drift_per_million) {
  network_.attach(config_.id, this);
}

micros machine::local() const {
  const micros passed = world_.now() - drift_since_;
  return drifted_until_ + passed + passed * drift_per_million_ / 1'000'000;
}

instant machine::now() const {
  const micros t = local();
  return {wall_time(std::chrono::microseconds(start_of_time + t + clock_offset_)),
          steady_time(std::chrono::microseconds(t))};
}

void machine::set_drift(int per_million) {
  drifted_until_ = local();
  drift_since_ = world_.now();
  drift_per_million_ = per_million;
}

void machine::start(bool with_data) {
  ++incarnation_;
  config_.node.guest = !with_data;
  config_.node.while_syncing = with_data ? syncing_mode::refuse : syncing_mode::read_through;
  config_.node.run_id = world_.random.next() | 1;
  config_.node.peer = config_.peer ? "host" + std::to_string(*config_.peer) : "";
  if (world_.seed % 2 == 0) config_.node.known_secrets = {"the secret of the pair"};
  store_ = std::make_unique<service::store>(config_.store);
  if (config_.node.ack != ack_mode::async) {
    replies_ = std::make_unique<client_replies>(store_->shard_count(), config_.node.ack,
                                                config_.node.ack_timeout);
    store_->set_acks(replies_->gate());
  } else if (config_.node.writes == writes_mode::master) {
    store_->set_exact();
  }
  node_ = std::make_unique<node>(config_.node, *store_, world_.random.next());
  role_ = role_state::init;
  term_ = 0;
  world_.say(config_.name + (with_data ? " starts" : " starts without data"));
  const std::uint64_t incarnation = incarnation_;
  step(event::started{});
  const auto housekeep = [this, incarnation](const auto& self) -> void {
    if (incarnation != incarnation_ || !up()) return;
    if (!paused_) {
      store_->housekeep(now());
      looked_(*this);
    }
    world_.after(housekeep_every, [self] { self(self); });
  };
  world_.after(housekeep_every, [housekeep] { housekeep(housekeep); });
}

void machine::crash(bool reset) {
  if (!up()) return;
  world_.say(config_.name + (reset ? " crashes" : " vanishes"));
  ++incarnation_;
  node_.reset();
  store_.reset();
  replies_.reset();
  looking_at_replies_ = false;
  serving_ = paused_ = false;
  writes_here_ = true;
  tick_scheduled_ = false;
  ++tick_;
  doom_ = 0;
  deferred_.clear();
  withholders_.clear();
  sessions_.clear();
  sockets_.clear();
  dialing_.clear();
  network_.host_down(config_.id, reset);
}

void machine::doom(unsigned after, std::function<void()> die) {
  doom_ = after;
  die_ = std::move(die);
}

void machine::count_down() {
  if (doom_ != 0 && --doom_ == 0) die_();
}

void machine::pause() {
  if (!up() || paused_) return;
  world_.say(config_.name + " is stopped");
  paused_ = true;
}

void machine::resume() {
  if (!up() || !paused_) return;
  world_.say(config_.name + " goes on");
  paused_ = false;
  while (!deferred_.empty() && !paused_) {
    const auto work = std::move(deferred_.front());
    deferred_.pop_front();
    work();
  }
}

void machine::guarded(std::function<void()> work) {
  if (!up()) return;
  if (paused_)
    deferred_.push_back(std::move(work));
  else
    work();
}

void machine::execute(const std::function<void(service::store&, instant)>& command) {
  if (!up() || paused_) return;
  command(*store_, now());
  look_at_replies();
  count_down();
  if (up() && node_->waits_for_mutation()) step(event::mutated{});
}

void machine::reply(const service::ack_ticket& ticket, std::function<void()> promised) {
  if (replies_) replies_->add(ticket, now(), std::move(promised));
}

// As a worker does: when something has changed, and now and then while any wait.
void machine::look_at_replies() {
  if (!replies_) return;
  const std::uint64_t incarnation = incarnation_;
  if (replies_->look(now())) step(event::ack_late{});
  if (incarnation != incarnation_ || replies_->empty() || looking_at_replies_) return;
  looking_at_replies_ = true;
  world_.after(config_.node.ack_timeout / 10ms * milli, [this, incarnation] {
    guarded([this, incarnation] {
      if (incarnation != incarnation_) return;
      looking_at_replies_ = false;
      look_at_replies();
    });
  });
}

void machine::step(const any_event& e) {
  const auto effects = node_->step(e, now());
  const std::uint64_t incarnation = incarnation_;
  for (const any_effect& effect : effects) {
    obey(effect);
    count_down();
    if (incarnation != incarnation_) return;  // it crashed
  }
  if (replies_ && replies_->announce()) {
    look_at_replies();
    if (incarnation != incarnation_) return;
  }
  if (std::exchange(role_changed_, false)) {
    const node_status s = status();
    role_ = s.role;
    term_ = s.term;
    looked_(*this);
  } else if (++steps_ % look_every == 0) {
    looked_(*this);  // what is wrong stays so for a while: a look now and then finds it
  }
  schedule_tick();
}

void machine::schedule_tick() {
  const steady_time due = node_->deadline();
  if (tick_scheduled_ && tick_at_ <= due) return;
  tick_scheduled_ = true;
  tick_at_ = due;
  const std::uint64_t number = ++tick_;
  const micros wait = std::max<micros>((due - now().steady).count(), 1);
  world_.after(wait, [this, number] {
    guarded([this, number] {
      if (number != tick_) return;
      tick_scheduled_ = false;
      step(event::tick{});
    });
  });
}

void machine::obey(const any_effect& e) {
  if (const auto* dial = std::get_if<effect::dial>(&e)) {
    dialing_[network_.connect(config_.id, *config_.peer)] = dial->session;
  } else if (const auto* send = std::get_if<effect::send>(&e)) {
    if (const auto found = sockets_.find(send->session); found != sockets_.end())
      this->send(found->second, send->bytes);
  } else if (const auto* close = std::get_if<effect::close>(&e)) {
    if (const auto found = sockets_.find(close->session); found != sockets_.end()) {
      const socket s = found->second;
      sessions_.erase(s);
      sockets_.erase(found);
      network_.close(s.first, s.second);
    }
  } else if (const auto* serve = std::get_if<effect::serve>(&e)) {
    serving_ = serve->open;
    world_.say(config_.name + (serving_ ? " serves" : " closes its clients"));
  } else if (const auto* note = std::get_if<effect::note>(&e)) {
    if (note->text.starts_with(role_note)) role_changed_ = true;
    for (const std::string_view begin : met_notes)
      if (note->text.starts_with(begin)) met_(*this, heard_);
    world_.say(config_.name + ": " + note->text);
  } else if (const auto* answer = std::get_if<effect::answer>(&e)) {
    world_.say(config_.name + (answer->ok ? " answers OK" : " answers ERROR " + answer->text));
  } else if (const auto* replies = std::get_if<effect::replies>(&e)) {
    world_.say(config_.name + "'s replies: " + std::string(to_string(replies->rule)));
    if (replies_) replies_->gate().set_rule(replies->rule);
  } else if (const auto* routes = std::get_if<effect::routes>(&e)) {
    writes_here_ = routes->writes == write_place::here;
  } else if (const auto* fence = std::get_if<effect::fence>(&e)) {
    raise_fence(fence->id);
  } else if (const auto* hook = std::get_if<effect::run_hook>(&e)) {
    run_hook(hook->id);
  }
}

// Takes a while, and does not always agree.
void machine::run_hook(std::uint64_t id) {
  const std::uint64_t incarnation = incarnation_;
  const bool ok = world_.random.chance(800);
  world_.after(world_.between(1 * milli, 300 * milli), [this, id, ok, incarnation] {
    guarded([this, id, ok, incarnation] {
      if (incarnation == incarnation_) step(event::hook_done{id, ok, ok ? "" : "exit status 1"});
    });
  });
}

// Workers may be busy for a while.
void machine::raise_fence(std::uint64_t id) {
  const std::uint64_t incarnation = incarnation_;
  world_.after(world_.between(0, 10 * milli), [this, id, incarnation] {
    guarded([this, id, incarnation] {
      if (incarnation == incarnation_) step(event::fenced{id});
    });
  });
}

void machine::order(const std::string& text) {
  world_.say(config_.name + " is told: " + text);
  guarded([this, text] { step(event::command{next_order_++, text}); });
}

void machine::send(const socket& s, const std::string& bytes) {
  const auto found = withholders_.find(s);
  if (!withholding_ && found == withholders_.end()) {
    network_.send(s.first, s.second, bytes);
    return;
  }
  std::string changed = bytes;
  (found == withholders_.end() ? withholders_[s] : found->second).pass(changed, withholding_);
  network_.send(s.first, s.second, std::move(changed));
}

void machine::on_connected(connection_id c) {
  guarded([this, c] {
    const auto found = dialing_.find(c);
    if (found == dialing_.end()) return;
    const session_id id = found->second;
    dialing_.erase(found);
    sessions_[{c, 0}] = id;
    sockets_[id] = {c, 0};
    step(event::dialed{id, nonce_of(world_.events() << 3 | config_.id)});
  });
}

void machine::on_connect_failed(connection_id c, const std::string& why) {
  guarded([this, c, why] {
    const auto found = dialing_.find(c);
    if (found == dialing_.end()) return;
    const session_id id = found->second;
    dialing_.erase(found);
    step(event::dial_failed{id, why});
  });
}

void machine::on_accepted(connection_id c) {
  guarded([this, c] {
    const session_id id = std::exchange(next_accepted_, next_accepted_ + 2);
    sessions_[{c, 1}] = id;
    sockets_[id] = {c, 1};
    step(event::accepted{id, "a host", nonce_of(world_.events() << 3 | config_.id)});
  });
}

void machine::on_bytes(connection_id c, int end, std::string_view bytes) {
  guarded([this, s = socket{c, end}, from = network_.opposite(c, end), copy = std::string(bytes)] {
    const auto found = sessions_.find(s);
    if (found == sessions_.end()) return;
    heard_ = from;
    step(event::received{found->second, copy});
  });
}

void machine::on_sent(connection_id c, int end, std::size_t bytes) {
  guarded([this, s = socket{c, end}, bytes] {
    if (const auto found = sessions_.find(s); found != sessions_.end())
      step(event::sent{found->second, bytes});
  });
}

void machine::on_closed(connection_id c, int end, const std::string& why) {
  guarded([this, s = socket{c, end}, why] {
    const auto found = sessions_.find(s);
    if (found == sessions_.end()) return;
    const session_id id = found->second;
    sessions_.erase(found);
    sockets_.erase(id);
    step(event::closed{id, why});
  });
}

}  // namespace tandem::sim
