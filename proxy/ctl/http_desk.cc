#include "proxy/ctl/http_desk.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <cerrno>
#include <fstream>
#include <memory>

#include "config/text.h"
#include "proxy/ctl/server_socket.h"
#include "proxy/ctl/text.h"

namespace tandem::ctl {

namespace {

namespace http = boost::beast::http;
namespace json = boost::json;
using reply_parser = http::response_parser<http::string_body>;
using std::chrono::seconds;

constexpr unsigned status_ok = 200, status_no = 503;  // of a question
constexpr std::size_t reply_bytes_max = 16 << 20;
constexpr seconds connect_limit{10};

struct free_ssl {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  void operator()(SSL* connection) const noexcept { SSL_free(connection); }
};

// Commands of the control socket that are pages of the admin port, to be read or to be posted to.
struct page {
  std::string_view command;
  std::string_view method;
  std::string_view target;
};
constexpr std::array pages = {
    page{"report", "GET", "/status"},
    page{"metrics", "GET", "/metrics"},
    page{"switchover", "POST", "/switchover"},
    page{"promote", "POST", "/promote"},
    page{"promote force", "POST", "/promote?force"},
    page{"demote", "POST", "/demote"},
    page{"drain", "POST", "/drain"},
    page{"drain force", "POST", "/drain?force"},
    page{"undrain", "POST", "/undrain"},
    page{"audit", "POST", "/audit"},
    page{"audit repair", "POST", "/audit?repair"},
    page{"alone on", "POST", "/alone?on"},
    page{"alone off", "POST", "/alone?off"},
};
constexpr std::string_view check_word = "check ", events_word = "events ", lag = "lag<";

// What is asked of a node is a word; anything else must not become another request.
bool is_plain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  });
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

// One request and its reply, over a blocking socket whose waits have an end.
class exchange {
 public:
  explicit exchange(const http_desk_options& how) : how_(how) {}

  // True: the reply is in `status` and `body`. Else `error` says why not.
  bool run(const desk_request& what, seconds limit) {
    until_ = std::chrono::steady_clock::now() + limit;
    if (!connect() || (how_.where.tls && !secure())) return false;
    return send(head(what)) && receive();
  }

  unsigned status = 0;
  std::string body;
  std::string error;

 private:
  std::string place() const {
    return config::format_endpoint({.host = how_.where.host, .port = how_.where.port});
  }
  bool fail(const std::string& why) {
    error = place() + ": " + why;
    return false;
  }
  bool fail_tls() {
    const long verified = connection_ ? SSL_get_verify_result(connection_.get()) : X509_V_OK;
    if (verified != X509_V_OK)
      return fail(std::string("its certificate is not accepted: ") +
                  X509_verify_cert_error_string(verified));
    const unsigned long code = ERR_get_error();
    const char* const why = code == 0 ? nullptr : ERR_reason_error_string(code);
    return fail(why != nullptr ? std::string("TLS: ") + why : "TLS: the connection broke");
  }

  bool connect() {
    error = socket_.connect(place(), connect_limit);
    return error.empty();
  }

  bool secure() {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    if (!context_) return fail_tls();
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    const bool trust =
        how_.ca_file.empty()
            ? SSL_CTX_set_default_verify_paths(context_.get()) == 1
            : SSL_CTX_load_verify_locations(context_.get(), how_.ca_file.c_str(), nullptr) == 1;
    if (!trust) return fail(how_.ca_file + ": no certificate can be read from it");
    connection_.reset(SSL_new(context_.get()));
    if (!connection_) return fail_tls();
    std::string name = how_.where.host;
    X509_VERIFY_PARAM* const wanted = SSL_get0_param(connection_.get());
    X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (X509_VERIFY_PARAM_set1_ip_asc(wanted, name.c_str()) != 1) {
      ERR_clear_error();
      if (X509_VERIFY_PARAM_set1_host(wanted, name.data(), name.size()) != 1) return fail_tls();
      // As the macro SSL_set_tlsext_host_name does, without its cast.
      SSL_ctrl(connection_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
               name.data());
    }
    SSL_set_fd(connection_.get(), socket_.descriptor());
    return wait() && (SSL_connect(connection_.get()) == 1 || fail_tls());
  }

  // The next call that blocks ends in time; false: it is over.
  bool wait() {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until_ - std::chrono::steady_clock::now());
    if (left.count() <= 0) return fail("no answer in time");
    socket_.limit(left);
    return true;
  }

  std::string head(const desk_request& what) const {
    std::string text(what.method);
    text += " " + what.target + " HTTP/1.1\r\nHost: " + place() +
            "\r\nUser-Agent: memtandemctl\r\nConnection: close\r\n";
    if (what.method == "POST") {
      text += "Content-Length: 0\r\n";
      if (!how_.token.empty()) text += "Authorization: Bearer " + how_.token + "\r\n";
    }
    return text + "\r\n";
  }

  bool send(std::string_view bytes) {
    if (!wait()) return false;
    if (!connection_) return socket_.send(bytes) || fail(message_of(errno));
    return SSL_write(connection_.get(), bytes.data(), static_cast<int>(bytes.size())) ==
               static_cast<int>(bytes.size()) ||
           fail_tls();
  }

  // The number of bytes; 0: the other side has ended it; -1: `error` says why.
  long read_some(char* to, std::size_t size) {
    if (!wait()) return -1;
    if (connection_) {
      const int n = SSL_read(connection_.get(), to, static_cast<int>(size));
      if (n > 0) return n;
      if (SSL_get_error(connection_.get(), n) == SSL_ERROR_ZERO_RETURN) return 0;
    } else {
      const ssize_t n = ::recv(socket_.descriptor(), to, size, 0);
      if (n >= 0) return n;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
      fail("no answer in time");
    else if (connection_)
      fail_tls();
    else
      fail(message_of(errno));
    return -1;
  }

  bool receive() {
    reply_parser parser;
    parser.body_limit(reply_bytes_max);
    parser.eager(true);
    std::string input;
    std::array<char, 16384> buffer;
    while (!parser.is_done()) {
      const long n = read_some(buffer.data(), buffer.size());
      if (n < 0) return false;
      boost::system::error_code ec;
      if (n == 0) {
        if (parser.got_some()) parser.put_eof(ec);
        if (ec || !parser.is_done()) return fail("the node closed the connection");
        break;
      }
      input.append(buffer.data(), static_cast<std::size_t>(n));
      while (!input.empty() && !parser.is_done()) {
        const std::size_t used =
            parser.put(boost::asio::const_buffer(input.data(), input.size()), ec);
        input.erase(0, used);
        if (ec == http::error::need_more) break;
        if (ec) return fail("this is not an admin port: " + ec.message());
      }
    }
    status = parser.get().result_int();
    body = std::move(parser.get().body());
    return true;
  }

  const http_desk_options& how_;
  std::chrono::steady_clock::time_point until_;
  std::unique_ptr<SSL_CTX, free_ssl> context_;
  server_socket socket_;
  std::unique_ptr<SSL, free_ssl> connection_;  // before the socket that it is on goes
};

}  // namespace

std::string parse_url(std::string_view text, node_url& out) {
  constexpr std::string_view plain = "http://", secure = "https://";
  out.tls = text.starts_with(secure);
  if (!out.tls && !text.starts_with(plain))
    return "http://HOST:PORT or https://HOST:PORT was expected";
  text.remove_prefix(out.tls ? secure.size() : plain.size());
  if (text.ends_with('/')) text.remove_suffix(1);
  config::endpoint where;
  if (std::string wrong = config::parse_endpoint(text, where); !wrong.empty()) return wrong;
  if (where.port == 0) return "the port of a node's admin.port is missing";
  out.host = where.host;
  out.port = where.port;
  return {};
}

desk_request request_of(std::string_view command) {
  for (const page& each : pages)
    if (each.command == command) return {each.method, std::string(each.target)};
  if (command.starts_with(events_word) && is_plain(command.substr(events_word.size())))
    return {"GET", "/events?after=" + std::string(command.substr(events_word.size()))};
  if (!command.starts_with(check_word)) return {};
  const std::string_view question = command.substr(check_word.size());
  if (question.starts_with(lag) && is_plain(question.substr(lag.size())))
    return {"GET", "/lag?below=" + std::string(question.substr(lag.size()))};
  if (is_plain(question)) return {"GET", "/" + std::string(question)};
  return {};
}

desk_answer answer_of(std::string_view command, unsigned status, std::string_view body) {
  using enum desk_answer::result;
  const bool good = status == status_ok;
  if (good && (command == "report" || command == "metrics" || command.starts_with(events_word)))
    return {done, lines_of(body), {}};
  boost::system::error_code ec;
  const json::value parsed = json::parse(body, ec);
  const json::object* const told = ec ? nullptr : parsed.if_object();
  const auto text = [told](const char* name) {
    const json::value* const found = told == nullptr ? nullptr : told->if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
  };
  if (told != nullptr && command.starts_with(check_word) && (good || status == status_no))
    return {done, {(good ? "yes: " : "no: ") + text("why")}, {}};
  if (told != nullptr && good) return {done, lines_of(text("answer")), {}};
  const std::string why = text("error");
  return {refused, {}, why.empty() ? "HTTP status " + std::to_string(status) : why};
}

desk_answer http_desk::ask(std::string_view command, seconds limit) {
  const desk_request what = request_of(command);
  if (what.target.empty())
    return {
        desk_answer::result::refused, {}, "the admin port does not know: " + std::string(command)};
  exchange one(options_);
  if (!one.run(what, limit)) return {desk_answer::result::unreachable, {}, one.error};
  return answer_of(command, one.status, one.body);
}

std::string read_token(const std::string& path, std::string& wrong) {
  std::ifstream file(path);
  std::string token;
  if (std::getline(file, token)) token = config::trim(token);
  if (token.empty() ||
      !std::all_of(token.begin(), token.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; }))
    wrong = path + ": there is no token in its first line";
  return token;
}

}  // namespace tandem::ctl
