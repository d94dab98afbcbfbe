#include "proxy/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>

#include "common/base/check.h"
#include "proxy/clock.h"
#include "proxy/start_error.h"

namespace tandem::proxy {
namespace {

// The top of OpenSSL's list of errors, which is emptied.
std::string openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown error";
  char text[256];
  ERR_error_string_n(code, text, sizeof text);
  return text;
}

int version_number(config::tls_version version) {
  switch (version) {
    case config::tls_version::tls1_0:
      return TLS1_VERSION;
    case config::tls_version::tls1_1:
      return TLS1_1_VERSION;
    case config::tls_version::tls1_2:
      return TLS1_2_VERSION;
    case config::tls_version::tls1_3:
      return TLS1_3_VERSION;
  }
  return TLS1_2_VERSION;
}

int verify_flags(config::client_certificate verify) {
  switch (verify) {
    case config::client_certificate::none:
      return SSL_VERIFY_NONE;
    case config::client_certificate::request:
      return SSL_VERIFY_PEER;
    case config::client_certificate::require:
      return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  }
  return SSL_VERIFY_NONE;
}

// A key with a pass phrase would ask the terminal for it, at a reload as well.
int no_pass_phrase(char*, int, int, void*) {
  return 0;
}

int count_session(SSL* connection, SSL_SESSION*) {
  void* const counters = SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection));
  static_cast<tls_counters*>(counters)->new_sessions.fetch_add(1, std::memory_order_relaxed);
  return 0;  // the session stays OpenSSL's
}

void set_rules(SSL_CTX* context, const config::tls_options& options, tls_counters& counters) {
  SSL_CTX_set_app_data(context, &counters);
  SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
  SSL_CTX_set_min_proto_version(context, version_number(options.min_version));
  SSL_CTX_set_verify(context, verify_flags(options.verify), nullptr);
  // A client that hangs up without a goodbye is no attack: replies say their length.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  if (options.kernel_tls) SSL_CTX_set_options(context, SSL_OP_ENABLE_KTLS);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (options.session_cache) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_SERVER);
    SSL_CTX_sess_set_new_cb(context, count_session);
  } else {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
  }
}

// Empty, or what is wrong.
std::string load_files(SSL_CTX* context, const config::tls_options& options) {
  const std::string& key = options.key_file.empty() ? options.certificate_file : options.key_file;
  const int format =
      options.format == config::key_format::pem ? SSL_FILETYPE_PEM : SSL_FILETYPE_ASN1;
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) != 1)
    return "Error loading the certificate chain: " + options.certificate_file + ": " +
           openssl_error();
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), format) != 1)
    return "Error loading the key: " + key + ": " + openssl_error();
  if (SSL_CTX_check_private_key(context) != 1)
    return "Error validating the certificate: " + openssl_error();
  if (!options.ciphers.empty() && SSL_CTX_set_cipher_list(context, options.ciphers.c_str()) != 1)
    return "Error setting the ciphers: " + options.ciphers + ": " + openssl_error();
  if (options.ca_file.empty()) return "";
  if (SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr) != 1)
    return "Error loading the CA certificate: " + options.ca_file + ": " + openssl_error();
  SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(options.ca_file.c_str()));
  return "";
}

// -d changes the working directory before the files are loaded again.
config::tls_options absolute(config::tls_options options) {
  for (std::string* path : {&options.certificate_file, &options.key_file, &options.ca_file})
    if (!path->empty()) *path = std::filesystem::absolute(*path).string();
  return options;
}

}  // namespace

tls_context::tls_context(const config::tls_options& options) : options_(absolute(options)) {
  if (const std::string wrong = reload(); !wrong.empty()) throw start_error("TLS: " + wrong);
}

std::string tls_context::reload() {
  const std::shared_ptr<SSL_CTX> fresh(SSL_CTX_new(TLS_method()), SSL_CTX_free);
  if (!fresh) return "Error creating the TLS context: " + openssl_error();
  set_rules(fresh.get(), options_, counters_);
  if (std::string wrong = load_files(fresh.get(), options_); !wrong.empty()) return wrong;
  const std::lock_guard guard(mutex_);
  current_ = fresh;
  loaded_ = now().steady;
  return "";
}

ssl_handle tls_context::connect_to(int socket) {
  std::shared_ptr<SSL_CTX> context;
  {
    const std::lock_guard guard(mutex_);
    context = current_;
  }
  ssl_handle connection(SSL_new(context.get()));
  if (!connection || SSL_set_fd(connection.get(), socket) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  return connection;
}

ssl_handle tls_context::open(int socket, config::listener_tls how) {
  ssl_handle connection = connect_to(socket);
  if (!connection) return nullptr;
  SSL_set_accept_state(connection.get());
  config::client_certificate verify = options_.verify;
  if (how == config::listener_tls::basic) verify = config::client_certificate::none;
  if (how == config::listener_tls::required) verify = config::client_certificate::require;
  SSL_set_verify(connection.get(), verify_flags(verify), nullptr);
  // A session made where no certificate was asked for must not be resumed where one is needed.
  const auto kind = static_cast<unsigned char>(verify);
  SSL_set_session_id_context(connection.get(), &kind, sizeof kind);
  return connection;
}

ssl_handle tls_context::open_link(int socket, bool dialed, const std::string& peer_name) {
  ssl_handle connection = connect_to(socket);
  if (!connection) return nullptr;
  if (dialed)
    SSL_set_connect_state(connection.get());
  else
    SSL_set_accept_state(connection.get());
  if (peer_name.empty()) return connection;
  X509_VERIFY_PARAM* const wanted = SSL_get0_param(connection.get());
  X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (X509_VERIFY_PARAM_set1_ip_asc(wanted, peer_name.c_str()) == 1 ||
      X509_VERIFY_PARAM_set1_host(wanted, peer_name.data(), peer_name.size()) == 1)
    return connection;
  ERR_clear_error();
  return nullptr;
}

std::chrono::seconds tls_context::since_loaded(steady_time now) const {
  const std::lock_guard guard(mutex_);
  return std::chrono::duration_cast<std::chrono::seconds>(now - loaded_);
}

std::optional<tcp_socket::wait_type> wait_of(io_status status) noexcept {
  if (status == io_status::want_read) return tcp_socket::wait_read;
  if (status == io_status::want_write) return tcp_socket::wait_write;
  return std::nullopt;
}

io_status tls_stream::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(connection_.get());
  if (result == 1) {
    open_ = true;
    return io_status::done;
  }
  const int error = SSL_get_error(connection_.get(), result);
  if (error == SSL_ERROR_WANT_READ) return io_status::want_read;
  if (error == SSL_ERROR_WANT_WRITE) return io_status::want_write;
  counters_.handshake_errors.fetch_add(1, std::memory_order_relaxed);
  remember_error();
  return io_status::broken;
}

io_result tls_stream::read(std::span<char> room) {
  std::size_t n = 0;
  ERR_clear_error();
  const int result = SSL_read_ex(connection_.get(), room.data(), room.size(), &n);
  return result == 1 ? io_result{io_status::done, n} : explain(result);
}

io_result tls_stream::write(std::span<const std::string_view> pieces, std::span<char> scratch) {
  CHECK(!pieces.empty() && !scratch.empty());
  std::string_view bytes = pieces.front();
  if (pieces.size() > 1 && bytes.size() < scratch.size()) {
    std::size_t filled = 0;
    for (const std::string_view piece : pieces) {
      const std::size_t part = std::min(piece.size(), scratch.size() - filled);
      std::memcpy(scratch.data() + filled, piece.data(), part);
      filled += part;
    }
    bytes = {scratch.data(), filled};
  }
  std::size_t n = 0;
  ERR_clear_error();
  const int result = SSL_write_ex(connection_.get(), bytes.data(), bytes.size(), &n);
  return result == 1 ? io_result{io_status::done, n} : explain(result);
}

io_result tls_stream::explain(int result) {
  switch (SSL_get_error(connection_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {io_status::want_read};
    case SSL_ERROR_WANT_WRITE:
      return {io_status::want_write};
    case SSL_ERROR_ZERO_RETURN:
      return {io_status::ended};
    case SSL_ERROR_SYSCALL:
      break;
    default:
      counters_.protocol_errors.fetch_add(1, std::memory_order_relaxed);
  }
  // Nothing may be sent after such an error, not even a goodbye.
  open_ = false;
  remember_error();
  return {io_status::broken};
}

void tls_stream::remember_error() {
  error_ = ERR_peek_last_error();
  ERR_clear_error();
}

bool tls_stream::peer_is_plain() const noexcept {
  const int code = ERR_GET_REASON(error_);
  return ERR_GET_LIB(error_) == ERR_LIB_SSL &&
         (code == SSL_R_WRONG_VERSION_NUMBER || code == SSL_R_HTTP_REQUEST);
}

std::string tls_stream::reason() const {
  if (error_ == 0) return "";
  const int code = ERR_GET_REASON(error_);
  if (ERR_GET_LIB(error_) == ERR_LIB_SSL) {
    if (code == SSL_R_CERTIFICATE_VERIFY_FAILED)
      return std::string("its certificate is refused: ") +
             X509_verify_cert_error_string(SSL_get_verify_result(connection_.get()));
    if (code == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE) return "it shows no certificate";
    if (peer_is_plain()) return "it does not speak TLS";
  }
  const char* const text = ERR_reason_error_string(error_);
  const std::string what = text == nullptr ? "unknown error" : text;
  return code >= SSL_AD_REASON_OFFSET ? "it refuses us: " + what : what;
}

void tls_stream::shut_down() {
  if (std::exchange(open_, false)) SSL_shutdown(connection_.get());
  ERR_clear_error();
}

}  // namespace tandem::proxy
