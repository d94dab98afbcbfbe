#include "proxy/control.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "proxy/log.h"
#include "proxy/start_error.h"

namespace tandem::proxy {
namespace {

constexpr int control_backlog = 16;
constexpr std::string_view busy = "ERROR too many clients\n";

// Fit for a line of the log.
std::string shown(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

}  // namespace

// One connection. It waits for one thing at a time: a line, the answer to it, or room to write.
class control_client : public std::enable_shared_from_this<control_client> {
 public:
  control_client(control_port& owner, tcp_socket socket)
      : owner_(&owner), socket_(std::move(socket)), timer_(socket_.get_executor()) {}

  // The next line of what has come, or wait for more.
  void go_on() {
    if (const std::size_t end = input_.find('\n'); end != std::string::npos) {
      std::string line = input_.substr(0, end);
      input_.erase(0, end + 1);
      if (line.ends_with('\r')) line.pop_back();
      return owner_->command(shared_from_this(), std::move(line));
    }
    if (input_.size() >= control_port::line_bytes_max) {
      closing_ = true;
      return reply("ERROR the line is too long\n");
    }
    read();
  }

  void reply(std::string text) {
    if (owner_ == nullptr) return;
    output_ = std::move(text);
    written_ = 0;
    limit(control_port::write_timeout);
    write();
  }

  void close() {
    if (owner_ == nullptr) return;
    control_port& owner = *std::exchange(owner_, nullptr);
    timer_.cancel();
    error_code ignored;
    socket_.close(ignored);
    owner.forget(this);  // the last of it, unless an operation under way holds it
  }

 private:
  void limit(std::chrono::seconds time) {
    timer_.expires_after(time);
    timer_.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec) self->close();
    });
  }

  void read() {
    limit(control_port::idle_timeout);
    const std::size_t room = control_port::line_bytes_max - input_.size();
    socket_.async_read_some(asio::buffer(buffer_.data(), std::min(room, buffer_.size())),
                            [self = shared_from_this()](error_code ec, std::size_t n) {
                              if (self->owner_ == nullptr) return;
                              if (ec) return self->close();
                              self->timer_.cancel();
                              self->input_.append(self->buffer_.data(), n);
                              self->go_on();
                            });
  }

  void write() {
    const asio::const_buffer rest = asio::buffer(output_) + written_;
    socket_.async_write_some(rest, [self = shared_from_this()](error_code ec, std::size_t n) {
      if (self->owner_ == nullptr) return;
      if (ec) return self->close();
      self->written_ += n;
      if (self->written_ < self->output_.size()) return self->write();
      self->timer_.cancel();
      if (self->closing_) return self->close();
      self->go_on();
    });
  }

  control_port* owner_;  // null: closed
  tcp_socket socket_;
  steady_timer timer_;
  std::array<char, control_port::line_bytes_max> buffer_{};
  std::string input_;
  std::string output_;
  std::size_t written_ = 0;
  bool closing_ = false;
};

control_port::control_port(asio::io_context& context, const config::control_options& options)
    : context_(context),
      file_(options.socket, options.socket_mode),
      acceptor_(context),
      breath_(context) {
  error_code ec;
  file_.bind(acceptor_, ec);
  if (ec)
    throw start_error("failed to open the control socket " + file_.path() + ": " + ec.message());
}

control_port::~control_port() = default;

void control_port::start(command_handler handler) {
  handler_ = std::move(handler);
  error_code ec;
  acceptor_.listen(control_backlog, ec);
  if (ec)
    return spdlog::error("failed to listen on the control socket {}: {}", file_.path(),
                         ec.message());
  listening_ = true;
  wait();
}

void control_port::stop() {
  listening_ = false;
  breath_.cancel();
  error_code ignored;
  acceptor_.close(ignored);
  while (!clients_.empty()) clients_.begin()->second->close();
  waiting_.clear();
}

void control_port::wait() {
  acceptor_.async_wait(tcp_acceptor::wait_read, [this](error_code ec) {
    if (!ec && listening_) accept();
  });
}

void control_port::accept() {
  for (;;) {
    const int socket =
        ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket >= 0) {
      take(socket);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN) return wait();
    breath_.expires_after(accept_breath);
    breath_.async_wait([this](error_code ec) {
      if (!ec && listening_) wait();
    });
    return;
  }
}

void control_port::take(int socket) {
  if (clients_.size() >= clients_max) {
    // The socket's buffer is empty: this fits or the client is gone.
    [[maybe_unused]] const ssize_t n =
        ::send(socket, busy.data(), busy.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::close(socket);
    return;
  }
  tcp_socket client(context_);
  error_code ec;
  // The family matters to opening only.
  client.assign(tcp::v4(), socket, ec);
  if (ec) {
    ::close(socket);
    return;
  }
  const auto fresh = std::make_shared<control_client>(*this, std::move(client));
  clients_.emplace(fresh.get(), fresh);
  fresh->go_on();
}

void control_port::command(const std::shared_ptr<control_client>& from, std::string text) {
  const std::uint64_t id = next_id_++;
  waiting_.emplace(id, from);
  if (spdlog::should_log(spdlog::level::debug)) spdlog::debug("control: {}", shown(text));
  handler_(id, std::move(text));
}

void control_port::answer(std::uint64_t id, bool ok, std::string text) {
  asio::post(context_, [this, id, ok, said = std::move(text)] { deliver(id, ok, said); });
}

void control_port::deliver(std::uint64_t id, bool ok, const std::string& text) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;
  const auto client = found->second.lock();
  waiting_.erase(found);
  if (client) client->reply(ok ? text + "OK\n" : "ERROR " + text + "\n");
}

void control_port::forget(const control_client* which) {
  clients_.erase(which);
}

}  // namespace tandem::proxy
