// SIGHUP: the configuration and the files that it names are read again, all or nothing. What is
// wrong anywhere is told, and then everything stays as it was. What cannot change under a running
// node waits for a restart and is listed. The control thread.
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/schema.h"
#include "proxy/clock.h"
#include "proxy/daemon.h"
#include "proxy/link_keys.h"
#include "proxy/log.h"
#include "proxy/process.h"
#include "proxy/start_error.h"

namespace tandem::proxy {
namespace {

using level = replication::effect::level;

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// What it takes to use the files, without using them; appends what is wrong.
template <class Try>
void attempt(std::vector<std::string>& wrong, const char* whose, Try what) {
  try {
    what();
  } catch (const start_error& error) {
    wrong.push_back(std::string(whose) + error.what());
  }
}

}  // namespace

// The log is opened anew in any case: it is moved by others, who do not wait.
void daemon::hang_up() {
  reopen_log();
  spdlog::info("the log is open again");
  const auto at = std::chrono::duration_cast<std::chrono::microseconds>(precise_now()).count();
  manager_.send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(at));
  reload();
  manager_.send("READY=1");
  release_code();
}

std::vector<std::string> daemon::wrong_files() const {
  // -d changes the working directory.
  const auto located = [this](std::string& path) {
    if (!path.empty()) path = (std::filesystem::path(start_directory_) / path).string();
  };
  const auto located_if = [&](std::optional<std::string>& path) {
    if (path) located(*path);
  };
  config::options files = options_;
  for (std::string* path :
       {&files.auth.file, &files.tls.certificate_file, &files.tls.key_file, &files.tls.ca_file})
    located(*path);
  config::replication_options& link = files.replication;
  for (auto* path : {&link.secret_file, &link.tls_certificate, &link.tls_key, &link.tls_ca})
    located_if(*path);
  std::vector<std::string> wrong;
  if (users_) attempt(wrong, "", [&] { const user_file tried(files.auth.file); });
  if (tls_) attempt(wrong, "", [&] { const tls_context tried(files.tls); });
  if (link_) attempt(wrong, "replication: ", [&] { const link_keys tried(link); });
  if (std::string why = desk_->wrong_files(); !why.empty()) wrong.push_back(std::move(why));
  return wrong;
}

void daemon::reload() {
  std::vector<std::string> wrong = wrong_files();
  std::optional<config::options> fresh;
  if (reread_) {
    try {
      fresh = reread_();
    } catch (const config::config_error& error) {
      wrong.insert(wrong.end(), error.messages().begin(), error.messages().end());
    }
  }
  for (const std::string& each : wrong) spdlog::error("reload: {}; all stays as it was", each);
  if (!wrong.empty()) {
    desk_->note(level::error, admin::event_kind::error, "reload: refused (" + wrong.front() + ")");
    return;
  }
  if (users_) users_->reload();
  if (tls_) refresh_certificates();
  if (link_) link_->reload_keys();
  if (std::string why = desk_->reload(); !why.empty()) spdlog::error("reload: {}", why);
  if (fresh) apply(*fresh);
}

void daemon::apply(const config::options& fresh) {
  std::vector<std::string> changed, pending;
  for (const config::key& key : config::schema()) {
    const config::value wanted = key.get(fresh);
    if (wanted == key.get(running_)) continue;
    const std::string path = key.path();
    bool now_in_force = false;
    if (path == "log.verbosity") {
      set_log_verbosity(fresh.log.verbosity);
      now_in_force = true;
    } else if (path == "cache.memory") {
      // One that is too far from the first is for the next start.
      now_in_force = data_.set_memory_limit(fresh.cache.memory_bytes, now());
    }
    if (now_in_force) key.set(running_, wanted);
    (now_in_force ? changed : pending).push_back(path);
  }
  {
    const std::lock_guard guard(pending_mutex_);
    pending_ = pending;
  }
  if (!changed.empty())
    desk_->note(level::info, admin::event_kind::operated, "reload: in force: " + joined(changed));
  if (!pending.empty())
    desk_->note(level::warning, admin::event_kind::operated,
                "reload: waiting for a restart: " + joined(pending));
  if (changed.empty() && pending.empty())
    desk_->note(level::info, admin::event_kind::operated, "reload: the configuration is the same");
}

}  // namespace tandem::proxy
