#include "proxy/daemon.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "common/protocol/reply.h"
#include "proxy/clock.h"
#include "proxy/log.h"

namespace tandem::proxy {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds house_interval{100};
constexpr unsigned status_every_rounds = 10;  // of housekeeping
// How long a stopping node gives its peer to take what it has not yet.
constexpr milliseconds drain_timeout{1000};
constexpr milliseconds drain_step{2};
// Marks the ids of the control socket's commands `help`, whose answer is completed here.
constexpr std::uint64_t help_ids = std::uint64_t{1} << 61;
constexpr std::size_t journal_bytes_max = std::size_t{64} << 20;
constexpr std::size_t journal_memory_part = 16;

std::uint64_t random_id() {
  std::random_device source;
  std::uniform_int_distribution<std::uint64_t> any(1);
  return any(source);
}

unsigned thread_count(const config::options& options) {
  if (options.workers.threads > 0) return options.workers.threads;
  return std::max(1U, std::thread::hardware_concurrency());
}

std::size_t journal_bytes(const config::options& options) {
  if (options.replication.journal_bytes > 0) return options.replication.journal_bytes;
  return std::min(options.cache.memory_bytes / journal_memory_part, journal_bytes_max);
}

service::store_options store_options_of(const config::options& options, std::size_t journal) {
  service::store_options to;
  to.memory_bytes = options.cache.memory_bytes;
  to.shards =
      service::shard_count_for(thread_count(options), to.memory_bytes, options.cache.item_size_max);
  to.item_size_max = options.cache.item_size_max;
  to.evict = options.cache.evict;
  to.cas = options.cache.cas;
  to.journal_bytes = journal;
  to.node_id = options.replication.node_id.value_or(0);
  return to;
}

session_rules session_rules_of(const config::options& options, tls_context* tls) {
  session_rules rules;
  rules.limits.requests_per_event = options.workers.requests_per_event;
  rules.limits.authenticate = !options.auth.file.empty();
  rules.timeouts = {options.listen.idle_timeout, options.listen.write_timeout,
                    options.tls.handshake_timeout};
  rules.tls = tls;
  if (tls != nullptr) rules.tls_write_buffer = options.tls.write_buffer;
  return rules;
}

std::unique_ptr<service::write_routes> routes_of(const config::options& options) {
  const config::replication_options& r = options.replication;
  const bool forwards = r.writes == config::writes_mode::master ||
                        r.while_syncing == config::syncing_mode::read_through;
  if (!r.enabled || !forwards) return nullptr;
  return std::make_unique<service::write_routes>(r.writes_prefixes, r.ack_timeout);
}

std::unique_ptr<backend_pool> backend_of(const config::options& options) {
  if (options.cache.engine == config::engine_kind::embedded) return nullptr;
  return std::make_unique<backend_pool>(options.backend, thread_count(options));
}

std::unique_ptr<service::ack_gate> acks_of(const config::options& options, std::size_t shards) {
  const config::replication_options& r = options.replication;
  if (!r.enabled || r.ack == config::ack_mode::async) return nullptr;
  return std::make_unique<service::ack_gate>(shards, static_cast<replication::ack_mode>(r.ack),
                                             r.ack_timeout);
}

service::command_policy policy_of(const config::command_options& from) {
  return {.flush_all = from.flush_all == config::permission::allow,
          .shutdown = from.shutdown == config::permission::allow,
          .dumps = from.dumps == config::permission::allow,
          .watch = from.watch == config::permission::allow};
}

}  // namespace

daemon::daemon(const config::options& options, peer_trust trust, const notifier& manager)
    : options_(options),
      manager_(manager),
      run_id_(random_id()),
      journal_bytes_(journal_bytes(options)),
      started_(now().steady),
      policy_(policy_of(options.commands)),
      users_(options.auth.file.empty() ? nullptr : std::make_unique<user_file>(options.auth.file)),
      tls_(options.tls.enabled ? std::make_unique<tls_context>(options.tls) : nullptr),
      data_(store_options_of(options, journal_bytes_)),
      routes_(routes_of(options)),
      acks_(acks_of(options, data_.shard_count())),
      backend_(backend_of(options)),
      hooks_(options.hooks, [this](std::uint64_t id, bool ok,
                                   std::string how) { link_->hook_done(id, ok, std::move(how)); }),
      running_(options),
      start_directory_(std::filesystem::current_path().string()) {
  data_.set_watchers(watchers());
  if (acks_) data_.set_acks(*acks_);
  if (routes_) data_.set_exact();
  counters_.push_back(&peer_statistics_);
  if (backend_ && options.replication.enabled) follow_backend();
  const session_rules rules = session_rules_of(options, tls_.get());
  const unsigned threads = thread_count(options);
  // Called only where there are routes, and so a link.
  const auto forward = [this](std::string request, peer_link::forward_handler done) {
    link_->forward(std::move(request), std::move(done));
  };
  for (unsigned i = 0; i < threads; ++i) {
    worker_backend backend{backend_.get(), static_cast<std::uint16_t>(i),
                           [this](std::uint16_t home, std::vector<backend_mail> replies) {
                             if (home < workers_.size())
                               return workers_[home]->mail(std::move(replies));
                             executor_->mail(std::move(replies));
                           }};
    workers_.push_back(std::make_unique<worker>(data_, *this, forward, counts_, serving_, rules,
                                                std::move(backend)));
    counters_.push_back(&workers_.back()->statistics());
  }
  listener_ =
      std::make_unique<listener>(context_, options.listen, options.tls.enabled, workers_, counts_);
  if (!options.control.socket.empty())
    control_ = std::make_unique<control_port>(context_, options.control);
  desk_ = std::make_unique<operator_desk>(
      options.admin,
      operator_desk::ties{
          .look = [this] { return look(); },
          .run = [this](std::uint64_t id, std::string text) { run_command(id, std::move(text)); }});
  if (!options.replication.enabled) return;
  const auto& own = options.replication.listen_addresses;
  peer_link_owner& self = *this;
  link_ = std::make_unique<peer_link>(
      options.replication, options.hooks, own.empty() ? options.listen.addresses : own, trust,
      run_id_, data_, sidecar_ ? static_cast<replication::data_port&>(*sidecar_) : data_,
      acks_.get(), self);
}

// Without its backend a node serves errors, or what its peer answers, and is nobody to it. With it,
// it joins as one that has just started, with what the backend holds.
void daemon::follow_backend() {
  sidecar_ = std::make_unique<service::sidecar>(data_, backend_->lanes(), [this] { mutated(); });
  executor_ = std::make_unique<backend_executor>(
      data_, peer_statistics_, *this, backend_->lanes(),
      static_cast<std::uint16_t>(backend_->lanes().size()),
      [this](std::function<void()> call) { link_->post(std::move(call)); });
  backend_->follow(*sidecar_, [this] { mutated(); });
  bypass_ = std::make_unique<backend_watcher>(context_, *backend_, *sidecar_, random_id());
  keeper_ = std::make_unique<backend_keeper>(
      context_, *backend_, *sidecar_,
      [this](std::uint64_t losses) {
        bypass_->start();
        link_->go_on(random_id(), [this, losses] {
          serve(false);
          admit(losses);
        });
      },
      [this] {
        bypass_->stop();
        link_->rest(random_id(), [this] {
          sidecar_->forget(now());
          keeper_->rested();
        });
      });
  backend_->watch([this] { keeper_->changed(); });
}

// Clients may use the backend as soon as the node serves again: when no worker is still at what it
// took from a client before, which would see a backend that is not filled.
void daemon::admit(std::uint64_t losses) {
  const auto busy = std::make_shared<std::atomic<std::size_t>>(workers_.size());
  for (const auto& each : workers_)
    each->post([this, losses, busy] {
      if (busy->fetch_sub(1) == 1) backend_->admit(losses);
    });
}

void daemon::execute(std::string_view request, executed done) {
  if (executor_) return executor_->execute(request, std::move(done));
  done(service::execute_for_peer(data_, peer_statistics_, *this, request, now()));
}

// A worker that gets to this has finished what it was at, or given it to the backend, and looks at
// the routes again for all that comes.
void daemon::fence(std::function<void()> done) {
  const auto busy = std::make_shared<std::atomic<std::size_t>>(workers_.size());
  for (const auto& each : workers_)
    each->post([this, done, busy] {
      if (busy->fetch_sub(1) != 1) return;
      if (!executor_) return done();
      link_->post([this, done] { executor_->fence(done); });
    });
}

// The workers call the link; they end first, whatever way this is reached.
daemon::~daemon() {
  if (desk_) desk_->stop();
  for (const auto& each : workers_) each->stop();
}

void daemon::run(const std::function<void()>& started) {
  watch_signals();
  for (unsigned i = 0; i < workers_.size(); ++i) {
    workers_[i]->start(i);
    loops_.add([w = workers_[i].get()](std::function<void()> call) { w->post(std::move(call)); });
  }
  if (link_) {
    link_->start(keeper_ != nullptr);
    loops_.add([this](std::function<void()> call) { link_->post(std::move(call)); });
  } else {
    serve(true);
  }
  if (control_)
    control_->start([this](std::uint64_t id, std::string text) { command(id, std::move(text)); });
  desk_->start();
  keep_house();
  if (manager_.watchdog_period().count() > 0) beat();
  // Ready once the link has decided what this node is: a master's client port is open by then.
  const std::function<void()> ready = [this, &started] {
    started();
    said_status_ = status_sentence();
    manager_.send("READY=1\nSTATUS=" + said_status_);
  };
  const auto post_ready = [this, &ready] { asio::post(context_, ready); };
  if (link_)
    link_->post(post_ready);
  else
    post_ready();
  context_.run();
  stop();
}

// Called in the link's thread. From now on no request is executed; the rest, sockets included, is
// the control thread's.
void daemon::serve(bool open) {
  serving_.store(open, std::memory_order_release);
  asio::post(context_, [this, open] { listener_->serve(open); });
}

void daemon::give_to(uid_t user, gid_t group) const {
  listener_->give_to(user, group);
  if (control_) control_->give_to(user, group);
}

// An operator's, by the control socket; in the control thread.
void daemon::command(std::uint64_t id, std::string text) {
  if (auto said = desk_->answer(text)) return control_->answer(id, said->ok, std::move(said->text));
  desk_->heard(text);
  if (operator_desk::is_help(text)) id |= help_ids;
  run_command(id, std::move(text));
}

// Any thread.
void daemon::run_command(std::uint64_t id, std::string text) {
  if (link_) return link_->command(id, std::move(text));
  answered(id, false, "replication is off");
}

void daemon::answered(std::uint64_t id, bool ok, std::string text) {
  if (operator_desk::is_own(id)) return desk_->answered(id, ok, std::move(text));
  if ((id & help_ids) != 0) text += operator_desk::help();
  control_->answer(id & ~help_ids, ok, std::move(text));
}

void daemon::run_hook(replication::effect::run_hook what) {
  hooks_.run(std::move(what));
}

void daemon::close_clients() {
  for (const auto& each : workers_) each->close_all();
}

void daemon::drain(bool on) {
  for (const auto& each : workers_) each->drain(on);
  asio::post(context_, [this, on] { listener_->drain(on); });
}

void daemon::watch_signals() {
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGHUP}) signals_.add(signal);
  wait_for_signal();
}

void daemon::wait_for_signal() {
  signals_.async_wait([this](error_code ec, int signal) {
    if (ec) return;
    if (signal != SIGHUP) {
      spdlog::info("stopping: signal {}", signal);
      return context_.stop();
    }
    hang_up();
    wait_for_signal();
  });
}

void daemon::keep_house() {
  data_.housekeep(now());
  if (manager_.wanted() && house_rounds_++ % status_every_rounds == 0) report_status();
  house_timer_.expires_after(house_interval);
  house_timer_.async_wait([this](error_code ec) {
    if (!ec) keep_house();
  });
}

void daemon::report_status() {
  std::string sentence = status_sentence();
  if (sentence == said_status_) return;
  said_status_ = std::move(sentence);
  manager_.send("STATUS=" + said_status_);
}

// Twice as often as sd_watchdog_enabled(3) asks, so that one late beat is no alarm.
void daemon::beat() {
  if (loops_.beat()) manager_.send("WATCHDOG=1");
  beat_timer_.expires_after(manager_.watchdog_period() / 4);
  beat_timer_.async_wait([this](error_code ec) {
    if (!ec) beat();
  });
}

// Clients first, then what the peer has not got yet, then the peer.
void daemon::stop() {
  manager_.send("STOPPING=1\nSTATUS=stopping");
  serving_.store(false, std::memory_order_release);
  if (control_) control_->stop();
  desk_->stop();
  listener_->stop();
  if (sidecar_) {
    // What the peer has not got yet is read through the workers' connections.
    close_clients();
    drain_link();
  }
  for (const auto& each : workers_) each->stop();
  if (!link_) return;
  if (!sidecar_) drain_link();
  hooks_.stop();
  link_->stop();
}

// The journal is gone with the process: a peer that is there is given a moment to take the rest.
void daemon::drain_link() const {
  for (auto waited = milliseconds(0); waited < drain_timeout; waited += drain_step) {
    const replication::node_status status = link_->status();
    if (!status.linked || status.lag_records == 0) return;
    std::this_thread::sleep_for(drain_step);
  }
  spdlog::warn("replication: stopping although the peer has not taken everything");
}

}  // namespace tandem::proxy
