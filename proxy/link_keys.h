// What a node shows its peer, and asks of it: the shared secret and the certificates of the link,
// as last read from their files. Any thread after it is made.
#pragma once

#include <memory>
#include <string>

#include "common/replication/secret.h"
#include "config/options.h"
#include "proxy/tls.h"

namespace tandem::proxy {

class link_keys {
 public:
  // Reads the files; throws start_error.
  explicit link_keys(const config::replication_options& options);

  // As read now, or none where no file is configured.
  const replication::secrets& first_secrets() const noexcept { return first_secrets_; }
  bool tls() const noexcept { return tls_ != nullptr; }
  // TLS on a connected socket that stays the caller's; where tls(). Null: no memory.
  std::unique_ptr<tls_stream> open(int socket, bool dialed) const;

  // Reads the files again and says in the log how that went; what cannot be read stays as it was,
  // and so does a link that is up. The secrets that count from now on, or none if those do that
  // did. Blocks for the time of reading.
  replication::secrets reload() const;

 private:
  const std::string secret_path_;  // absolute; empty: none
  const std::string peer_name_;
  replication::secrets first_secrets_;
  std::unique_ptr<tls_context> tls_;  // null: off
};

}  // namespace tandem::proxy
