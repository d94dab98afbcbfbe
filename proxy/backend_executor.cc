#include "proxy/backend_executor.h"

#include <memory>
#include <utility>

#include "proxy/backend_connection.h"
#include "proxy/clock.h"

namespace tandem::proxy {

class backend_executor::execution final : public backend::reply_sink {
 public:
  execution(backend_executor& owner, handler done)
      : owner_(owner),
        request_(owner.data_, owner.statistics_, owner.host_),
        done_(std::move(done)) {
    request_.relay_to(owner.lanes_, *this, owner.home_);
  }
  void start(std::string_view request) {
    request_.start(request, now());
    finish_if_done();
  }
  bool answered(const backend::expected& to, std::string_view reply) override {
    request_.answered(to, reply, now());
    return true;
  }
  void settled() override {
    request_.go_on(now());
    finish_if_done();
  }

 private:
  // Last in a call: this is gone then.
  void finish_if_done() {
    if (!request_.done()) return;
    const handler done = std::move(done_);
    service::peer_request::result result = request_.take();
    owner_.finished(*this);
    done(std::move(result));
  }

  backend_executor& owner_;
  service::peer_request request_;
  handler done_;
};

// A request that does nothing, behind all others of each lane.
class backend_executor::barrier final : public backend::reply_sink {
 public:
  barrier(backend_executor& owner, std::function<void()> done)
      : owner_(owner), done_(std::move(done)) {}

  void raise() {
    for (std::size_t i = 0; i < owner_.lanes_.size(); ++i) {
      backend::lane::access with(owner_.lanes_.at(i));
      if (!with.up()) continue;  // it has answered all it had
      ++missing_;
      with.out().append("mn\r\n");
      backend::expected e;
      e.who = this;
      e.home = owner_.home_;
      with.add(e, {});
    }
    settled();
  }
  bool answered(const backend::expected&, std::string_view) override {
    --missing_;
    return true;
  }
  // Last in a call: this may be gone then.
  void settled() override {
    if (missing_ != 0) return;
    const std::function<void()> done = std::move(done_);
    owner_.barriers_.remove_if([this](const auto& each) { return each.get() == this; });
    done();
  }

 private:
  backend_executor& owner_;
  std::function<void()> done_;
  std::size_t missing_ = 0;
};

backend_executor::backend_executor(service::store& data, service::worker_statistics& statistics,
                                   service::server& host, backend::lanes& lanes, std::uint16_t home,
                                   poster post)
    : data_(data),
      statistics_(statistics),
      host_(host),
      lanes_(lanes),
      home_(home),
      post_(std::move(post)) {}

backend_executor::~backend_executor() = default;

void backend_executor::execute(std::string_view request, handler done) {
  executions_.push_back(std::make_unique<execution>(*this, std::move(done)));
  executions_.back()->start(request);
}

void backend_executor::finished(const execution& which) {
  executions_.remove_if([&](const auto& each) { return each.get() == &which; });
  raise_barriers();
}

// A request of the peer's clients may have more for the backend than it takes at once.
void backend_executor::fence(std::function<void()> done) {
  fences_.push_back(std::move(done));
  raise_barriers();
}

void backend_executor::raise_barriers() {
  if (!executions_.empty()) return;
  for (std::function<void()>& each : std::exchange(fences_, {})) {
    barriers_.push_back(std::make_unique<barrier>(*this, std::move(each)));
    barriers_.back()->raise();
  }
}

void backend_executor::mail(std::vector<backend_mail> replies) {
  post_([taken = std::make_shared<std::vector<backend_mail>>(std::move(replies))] {
    reply_round round;
    for (const backend_mail& each : *taken) round.give(each.to, each.reply);
    round.settle();
  });
}

}  // namespace tandem::proxy
