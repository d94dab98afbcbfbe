// A worker's connection to the memcached that keeps the data: moves bytes between its socket and a
// backend::lane, connects again when it is lost, for ever. One that does not answer takes no more
// requests before it has answered those that were sent: only then it is known what became of them.
// The worker's thread only.
//
// What was added by all sessions that the loop found ready, and while the backend was busy with
// more than that, goes out in one write; what one read brings is given to the sessions together,
// and those of other workers get theirs by mail.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/backend/lane.h"
#include "common/base/byte_buffer.h"
#include "common/base/time.h"
#include "proxy/asio.h"
#include "proxy/backend_dialer.h"
#include "proxy/backend_pool.h"

namespace tandem::proxy {

// Gives replies to sinks, and tells each once when there are no more.
class reply_round {
 public:
  void give(const backend::expected& to, std::string_view reply) {
    if (!to.who->answered(to, reply)) return;
    if (given_.empty() || given_.back() != to.who) given_.push_back(to.who);
  }
  void settle();

 private:
  std::vector<backend::reply_sink*> given_;
};

class backend_connection final : private backend::lane_waker {
 public:
  // Takes mail for the sessions of another worker; any thread may run it.
  using mailer = std::function<void(std::uint16_t home, std::vector<backend_mail>)>;

  // The pool outlives the connection.
  backend_connection(asio::io_context& context, backend_pool& pool, backend::lane& requests,
                     mailer mail);

  void start();
  // All that waits is answered: that nothing has come. Requests are refused from now on.
  void stop();

 private:
  enum class stage : std::uint8_t { idle, connecting, greeting, open, stalled, stopped };

  void wanted() override;  // any thread, under the lane's lock
  void connect();
  void connected(tcp_socket socket, const std::string& why);
  void greet();
  void read_greeting();
  void open();
  void stall();
  void read();
  void send_if_open();
  void send();
  void wait_to_send();
  void answer(backend::expected& to, std::string_view key, std::string_view reply);
  void give(const backend::expected& to, std::string_view reply);
  void settle();
  std::size_t hang_up();
  void fail(const std::string& why);
  void connect_later();
  void watch();
  bool current(unsigned attempt) const noexcept {
    return attempt == attempt_ && stage_ != stage::stopped;
  }

  asio::io_context& context_;
  backend_pool& pool_;
  backend::lane& lane_;
  const mailer mail_;
  stage stage_ = stage::idle;
  unsigned attempt_ = 0;  // handlers of an earlier one are void
  tcp_socket socket_;
  backend_dialer dialer_;
  byte_buffer sending_;
  bool waits_to_send_ = false;
  std::string greeting_;
  std::string version_;
  steady_timer timer_;  // of connecting, greeting, and the pause between
  steady_timer watch_;  // of replies
  bool watching_ = false;
  std::uint64_t seen_answered_ = 0;
  steady_time answered_at_{};
  reply_round round_;
  bool journaled_ = false;                          // in this round
  std::vector<std::vector<backend_mail>> mail_to_;  // by home
};

}  // namespace tandem::proxy
