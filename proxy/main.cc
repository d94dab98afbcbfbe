// The daemon's start: command line, process, daemon, in the order in which each may still fail with
// a message that somebody reads. Exit status: 0 stopped cleanly, 71 the system refused something,
// 78 wrong configuration.
#include <sysexits.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/flags.h"
#include "proxy/daemon.h"
#include "proxy/log.h"
#include "proxy/process.h"
#include "proxy/start_error.h"

namespace tandem::proxy {
namespace {

// Of descriptors, beside one per client: doors, the link, the log, and the loops of 256 workers.
constexpr std::size_t descriptors_beside = 1024;

// A secret or TLS makes every address good. A file can set `insecure`; Repcached's flags know no
// such thing, and a pair started with them
// must find together on its private network.
peer_trust trust_of(const config::command_line& line) {
  if (line.opts.replication.authenticated()) return peer_trust::authenticated;
  if (line.opts.replication.insecure) return peer_trust::anywhere;
  // Whoever protects the clients' door did not mean to leave this one open.
  const bool protecting = line.opts.tls.enabled || !line.opts.auth.file.empty();
  return line.config_file.empty() && !protecting ? peer_trust::private_network
                                                 : peer_trust::loopback;
}

int run(const config::command_line& line, const daemon::rereader& reread) {
  const config::options& options = line.opts;
  const config::process_options& process = options.process;
  const identity who = find_identity(process.user);
  if (process.core_dumps) allow_core_dumps();
  allow_open_files(options.listen.connections_max, descriptors_beside);
  ignore_broken_pipes();
  // The working directory may be another when it is opened again.
  const std::string log_file =
      options.log.file.empty() ? "" : std::filesystem::absolute(options.log.file).string();

  background ground = process.daemonize ? background::detach() : background::stay();
  if (process.lock_memory) lock_memory();
  open_log("", options.log.verbosity);
  for (const std::string& warning : line.warnings) spdlog::warn("{}", warning);

  // What needs root comes before become(): low ports, the pid file's directory.
  const notifier manager(::getpid());
  daemon whole(options, trust_of(line), manager);
  whole.set_reread(reread);
  whole.give_to(who.user, who.group);
  std::optional<pid_file> pid(std::in_place, process.pid_file);
  pid->give_to(who.user, who.group);
  become(who);
  if (!log_file.empty()) open_log(log_file, options.log.verbosity);

  whole.run([&] {
    ground.ready(options.log.verbosity > 0, process.core_dumps);
    release_code();
  });
  spdlog::info("stopped");
  if (whole.looking_up()) {
    // The end would wait for a name server, for many seconds if it is gone. All else is closed.
    pid.reset();
    ::_exit(EX_OK);
  }
  return EX_OK;
}

// The arguments, for when the working directory may be another.
std::vector<std::string> with_absolute_file(int argc, char** argv, const std::string& file) {
  std::vector<std::string> all(argv, argv + argc);
  if (file.empty()) return all;
  const std::string whole = std::filesystem::absolute(file).string();
  for (std::string& each : all) {
    const std::size_t from = each.starts_with("--config=") ? each.find('=') + 1 : 0;
    if (each.compare(from, std::string::npos, file) == 0)
      each.replace(from, std::string::npos, whole);
  }
  return all;
}

int complain(const std::string& what) {
  std::fprintf(stderr, "memtandem: %s\n", what.c_str());
  return EX_OSERR;
}

int start(int argc, char** argv) {
  std::vector<std::string> environment;
  for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry)
    environment.emplace_back(*entry);
  try {
    const config::command_line line = config::parse_command_line(argc, argv, environment);
    if (line.what == config::command_line::action::run)
      return run(line, [arguments = with_absolute_file(argc, argv, line.config_file), environment] {
        std::vector<const char*> pointers;
        for (const std::string& each : arguments) pointers.push_back(each.c_str());
        return config::parse_command_line(static_cast<int>(pointers.size()), pointers.data(),
                                          environment)
            .opts;
      });
    for (const std::string& warning : line.warnings) std::fprintf(stderr, "%s\n", warning.c_str());
    std::fputs(line.text.c_str(), stdout);
    return std::fflush(stdout) == 0 ? EX_OK : complain("standard output cannot be written");
  } catch (const config::config_error& error) {
    for (const std::string& message : error.messages())
      std::fprintf(stderr, "%s\n", message.c_str());
    return EX_CONFIG;
  } catch (const std::bad_alloc&) {
    return complain("not enough memory for the configured cache");
  } catch (const std::exception& error) {
    return complain(error.what());
  }
}

}  // namespace
}  // namespace tandem::proxy

int main(int argc, char** argv) {
  return tandem::proxy::start(argc, argv);
}
