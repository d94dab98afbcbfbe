#include "proxy/backend_dialer.h"

#include <string>
#include <utility>

#include "config/text.h"
#include "proxy/unix_socket.h"

namespace tandem::proxy {
namespace {

void report(tcp_socket socket, std::string why, const dialer::handler& done) {
  error_code ec;
  if (why.empty()) socket.non_blocking(true, ec);
  if (ec) why = ec.message();
  done(std::move(socket), why);
}

}  // namespace

backend_dialer::backend_dialer(asio::io_context& context, const config::backend_options& options)
    : context_(context), options_(options) {
  config::endpoint where;
  if (!options.address.starts_with('/') && config::parse_endpoint(options.address, where).empty())
    dialer_ = std::make_shared<dialer>(context, where, peer_trust::anywhere, options.timeout);
}

void backend_dialer::start(dialer::handler done) {
  if (!dialer_) {
    tcp_socket socket(context_);
    std::string why = connect_unix_socket(socket, options_.address);
    return report(std::move(socket), std::move(why), done);
  }
  dialer_->start([given = std::move(done)](tcp_socket socket, const std::string& why) {
    error_code ignored;
    if (why.empty()) socket.set_option(tcp::no_delay(true), ignored);
    report(std::move(socket), why, given);
  });
}

void backend_dialer::cancel() {
  if (dialer_) dialer_->cancel();
}

}  // namespace tandem::proxy
