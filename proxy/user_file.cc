#include "proxy/user_file.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "proxy/log.h"
#include "proxy/start_error.h"

namespace tandem::proxy {

// -d changes the working directory.
user_file::user_file(const std::string& path) : path_(std::filesystem::absolute(path).string()) {
  if (const std::string wrong = read(); !wrong.empty())
    throw start_error("auth file " + path_ + ": " + wrong);
}

void user_file::reload() {
  if (const std::string wrong = read(); wrong.empty())
    spdlog::info("auth file {}: loaded again", path_);
  else
    spdlog::error("auth file {}: {}; the users stay as they were", path_, wrong);
}

std::string user_file::read() {
  errno = 0;
  std::ifstream file(path_, std::ios::binary);
  if (!file) return std::generic_category().message(errno);
  std::string text(bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return "it cannot be read";
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (text.size() > bytes_max) return "it is too large";
  service::credentials::result parsed = service::credentials::parse(text);
  if (!parsed.error.empty()) return std::move(parsed.error);
  if (parsed.ignored > 0)
    spdlog::warn("auth file {}: {} lines beyond the first {} are ignored", path_, parsed.ignored,
                 service::credentials::users_max);
  auto fresh = std::make_shared<const service::credentials>(std::move(parsed.users));
  const std::lock_guard guard(mutex_);
  users_ = std::move(fresh);
  return "";
}

bool user_file::accept(std::string_view user, std::string_view password) const {
  std::shared_ptr<const service::credentials> users;
  {
    const std::lock_guard guard(mutex_);
    users = users_;
  }
  return users->accept(user, password);
}

}  // namespace tandem::proxy
