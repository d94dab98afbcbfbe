#include "proxy/admin_server.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <utility>

#include "common/admin/health.h"
#include "config/text.h"
#include "proxy/address.h"
#include "proxy/log.h"
#include "proxy/start_error.h"
#include "proxy/status_page.h"

namespace tandem::proxy {
namespace {

constexpr int backlog = 128;
// Behind the workers and the link, where there are fewer cores than threads.
constexpr int niceness = 10;
constexpr std::size_t token_bytes_min = 16, token_bytes_max = 512;

config::admin_options with_absolute_paths(config::admin_options options) {
  for (auto* path : {&options.token_file, &options.tls_certificate, &options.tls_key})
    if (*path) *path = std::filesystem::absolute(**path).string();
  return options;
}

// The first line of the file, or what is wrong in `error`.
std::string read_token(const std::string& path, std::string& error) {
  std::ifstream file(path);
  std::string token;
  if (!std::getline(file, token)) {
    error = "admin.token_file " + path + ": cannot be read, or is empty";
    return {};
  }
  token = config::trim(token);
  if (token.size() < token_bytes_min || token.size() > token_bytes_max) {
    error = "admin.token_file " + path + ": the token must have " +
            std::to_string(token_bytes_min) + ".." + std::to_string(token_bytes_max) +
            " characters";
    return {};
  }
  return token;
}

config::tls_options tls_options_of(const config::admin_options& options) {
  config::tls_options to;
  to.enabled = true;
  to.certificate_file = *options.tls_certificate;
  to.key_file = options.tls_key.value_or("");
  return to;
}

}  // namespace

admin_server::admin_server(const config::admin_options& options, const admin::event_log& events,
                           looker look, commander command)
    : options_(with_absolute_paths(options)),
      look_(std::move(look)),
      command_(std::move(command)),
      tls_(options_.tls_certificate ? std::make_unique<tls_context>(tls_options_of(options_))
                                    : nullptr) {
  site_ = {.look = [this]() -> const admin::snapshot& { return this->look(); },
           .events = &events,
           .page = status_page};
  if (options_.token_file) {
    std::string wrong;
    token_ = read_token(*options_.token_file, wrong);
    if (!wrong.empty()) throw start_error(wrong);
  }
  if (options_.port != 0) open(options_.listen, options_.port, false);
  if (options_.agent_port != 0) open(options_.listen, options_.agent_port, true);
}

admin_server::~admin_server() {
  stop();
}

void admin_server::open(const std::vector<std::string>& addresses, std::uint16_t port, bool agent) {
  const auto wheres =
      agent ? listen_endpoints_at(addresses, port) : listen_endpoints(addresses, port);
  for (const tcp::endpoint& where : wheres) {
    auto fresh = std::make_unique<door>(context_, agent);
    error_code ec;
    bind_acceptor(fresh->acceptor, where, false, ec);
    if (ec)
      throw start_error("failed to open the admin port " + to_string(where) + ": " + ec.message());
    doors_.push_back(std::move(fresh));
  }
}

void admin_server::start() {
  for (const auto& each : doors_) {
    error_code ec;
    each->acceptor.listen(backlog, ec);
    if (ec) {
      spdlog::error("failed to listen on the admin port: {}", ec.message());
      continue;
    }
    wait(*each);
  }
  thread_ = std::thread([this] {
    // What is refused (by a sandbox) is a courtesy less; the pace is kept all the same.
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness);
    context_.run();
  });
  ::pthread_setname_np(thread_.native_handle(), "admin");
}

void admin_server::stop() {
  if (!thread_.joinable()) return;
  asio::post(context_, [this] {
    stopping_ = true;
    error_code ignored;
    for (const auto& each : doors_) each->acceptor.close(ignored);
    while (!connections_.empty()) connections_.begin()->second->close();
    work_.reset();
    context_.stop();
  });
  thread_.join();
}

void admin_server::wait(door& which) {
  which.acceptor.async_wait(tcp_acceptor::wait_read, [this, &which](error_code ec) {
    if (!ec && !stopping_) accept(which);
  });
}

void admin_server::accept(door& which) {
  for (;;) {
    const int socket =
        ::accept4(which.acceptor.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      take(socket, which.agent);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN) return wait(which);
    // No descriptor is free: no spinning on it.
    which.breath.expires_after(accept_breath);
    which.breath.async_wait([this, &which](error_code ec) {
      if (!ec && !stopping_) wait(which);
    });
    return;
  }
}

void admin_server::take(int socket, bool agent) {
  make_room();
  tcp_socket client(context_);
  error_code ec;
  client.assign(tcp::v4(), socket, ec);
  if (ec) {
    ::close(socket);
    return;
  }
  client.native_non_blocking(true, ec);
  client.non_blocking(true, ec);
  std::unique_ptr<tls_stream> tls;
  if (tls_ && !agent) {
    ssl_handle connection = tls_->open(socket, config::listener_tls::basic);
    if (!connection) return;
    tls = std::make_unique<tls_stream>(std::move(connection), tls_->counters());
  }
  admin_connection_owner& self = *this;
  const auto fresh = std::make_shared<admin_connection>(self, std::move(client), std::move(tls));
  connections_.emplace(fresh.get(), fresh);
  if (agent) return fresh->say(admin::agent_line(look()));
  fresh->start();
}

// Who asks nothing must not keep out who does.
void admin_server::make_room() {
  if (connections_.size() < connections_max) return;
  const auto worse = [](const auto& one, const auto& other) {
    if (one.second->idle() != other.second->idle()) return one.second->idle();
    return one.second->since() < other.second->since();
  };
  const auto victim = std::min_element(connections_.begin(), connections_.end(), worse)->second;
  victim->close();
}

const admin::snapshot& admin_server::look() {
  const auto now = steady_timer::clock_type::now();
  if (!seen_ || now - seen_at_ >= look_interval) {
    seen_ = look_();
    seen_at_ = now;
  }
  return *seen_;
}

std::string admin_server::token() const {
  const std::lock_guard guard(token_mutex_);
  return token_;
}

void admin_server::asked(const std::shared_ptr<admin_connection>& by,
                         const admin::site_request& request) {
  ++paced_;
  admin::site_answer answer = admin::answer(request, site_, token());
  if (answer.reply) return by->reply(*answer.reply);
  const std::uint64_t id = next_id_++;
  waiting_.emplace(id, by);
  // What it leads to is seen at once.
  seen_.reset();
  command_(id, std::move(answer.command), by->peer());
}

std::chrono::milliseconds admin_server::pause() {
  const auto now = steady_timer::clock_type::now();
  if (now - pace_began_ >= pace_interval) {
    pace_began_ = now;
    paced_ = 0;
  }
  if (paced_ < requests_per_interval) return std::chrono::milliseconds(0);
  return std::chrono::ceil<std::chrono::milliseconds>(pace_began_ + pace_interval - now);
}

void admin_server::forget(const admin_connection* which) {
  connections_.erase(which);
}

void admin_server::answer(std::uint64_t id, bool ok, std::string text) {
  asio::post(context_, [this, id, ok, said = std::move(text)] {
    seen_.reset();
    const auto found = waiting_.find(id);
    if (found == waiting_.end()) return;
    const auto connection = found->second.lock();
    waiting_.erase(found);
    if (connection) connection->reply(admin::command_reply(ok, said));
  });
}

std::string admin_server::wrong_files() const {
  std::string wrong;
  if (options_.token_file) (void)read_token(*options_.token_file, wrong);
  if (!wrong.empty() || !tls_) return wrong;
  try {
    const tls_context tried(tls_options_of(options_));
  } catch (const start_error& error) {
    return std::string("the admin port's ") + error.what();
  }
  return {};
}

std::string admin_server::reload() {
  std::string wrong;
  std::string fresh;
  if (options_.token_file) fresh = read_token(*options_.token_file, wrong);
  if (wrong.empty() && tls_) wrong = tls_->reload();
  if (!wrong.empty()) return wrong;
  const std::lock_guard guard(token_mutex_);
  token_ = std::move(fresh);
  return {};
}

}  // namespace tandem::proxy
