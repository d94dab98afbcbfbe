#include "proxy/link_keys.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "proxy/log.h"
#include "proxy/start_error.h"

namespace tandem::proxy {
namespace {

// -d changes the working directory.
std::string absolute(const std::optional<std::string>& path) {
  return path ? std::filesystem::absolute(*path).string() : "";
}

replication::secrets_read read_secrets(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return {{}, std::generic_category().message(errno)};
  std::string text(replication::secret_file_bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || std::filesystem::is_directory(path)) return {{}, "it cannot be read"};
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > replication::secret_file_bytes_max) return {{}, "it is too large"};
  using std::filesystem::perms;
  std::error_code ignored;
  const perms mode = std::filesystem::status(path, ignored).permissions();
  if (!ignored && (mode & (perms::others_read | perms::others_write)) != perms::none)
    spdlog::warn("secret file {}: every user of this host can read or write it (chmod 600)", path);
  return replication::parse_secrets(text);
}

config::tls_options tls_options_of(const config::replication_options& from) {
  config::tls_options to;
  to.enabled = true;
  to.certificate_file = *from.tls_certificate;
  to.key_file = from.tls_key.value_or("");
  to.ca_file = from.tls_ca.value_or("");
  to.verify = config::client_certificate::require;
  to.min_version = config::tls_version::tls1_3;
  return to;
}

}  // namespace

link_keys::link_keys(const config::replication_options& options)
    : secret_path_(absolute(options.secret_file)), peer_name_(options.tls_peer_name.value_or("")) {
  if (!secret_path_.empty()) {
    replication::secrets_read read = read_secrets(secret_path_);
    if (!read.error.empty()) throw start_error("secret file " + secret_path_ + ": " + read.error);
    first_secrets_ = std::move(read.all);
  }
  if (!options.tls_certificate) return;
  try {
    tls_ = std::make_unique<tls_context>(tls_options_of(options));
  } catch (const start_error& error) {
    throw start_error(std::string("the link's ") + error.what());
  }
}

std::unique_ptr<tls_stream> link_keys::open(int socket, bool dialed) const {
  ssl_handle connection = tls_->open_link(socket, dialed, peer_name_);
  if (!connection) return nullptr;
  return std::make_unique<tls_stream>(std::move(connection), tls_->counters());
}

replication::secrets link_keys::reload() const {
  if (tls_) {
    if (const std::string wrong = tls_->reload(); wrong.empty())
      spdlog::info("replication: TLS: the certificates are loaded again");
    else
      spdlog::error("replication: TLS: {}; the certificates stay as they were", wrong);
  }
  if (secret_path_.empty()) return {};
  replication::secrets_read read = read_secrets(secret_path_);
  if (!read.error.empty()) {
    spdlog::error("secret file {}: {}; the secrets stay as they were", secret_path_, read.error);
    return {};
  }
  spdlog::info("secret file {}: loaded again, {} of at most {}", secret_path_, read.all.size(),
               replication::secrets_max);
  return std::move(read.all);
}

}  // namespace tandem::proxy
