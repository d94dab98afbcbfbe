#include "proxy/process.h"

#include <fcntl.h>
#include <grp.h>
#include <link.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "proxy/log.h"
#include "proxy/start_error.h"

namespace tandem::proxy {
namespace {

// The parent's part of -d: waits for the child's word.
[[noreturn]] void exit_as(pid_t child, int report) {
  char word = 0;
  ssize_t n;
  while ((n = ::read(report, &word, 1)) < 0 && errno == EINTR) {
  }
  if (n == 1) ::_exit(EXIT_SUCCESS);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  // It has said why on standard error, unless a signal ended it.
  ::_exit(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EXIT_FAILURE);
}

void redirect_to_null() {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) throw start_error::from_errno("/dev/null");
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::dup2(null, descriptor) < 0) throw start_error::from_errno("/dev/null");
  ::close(null);
}

}  // namespace

background background::detach() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw start_error::from_errno("pipe");
  const pid_t child = ::fork();
  if (child < 0) throw start_error::from_errno("fork");
  if (child > 0) {
    ::close(ends[1]);
    exit_as(child, ends[0]);
  }
  ::close(ends[0]);
  if (::setsid() < 0) throw start_error::from_errno("setsid");
  return background(ends[1]);
}

background::~background() {
  if (report_ >= 0) ::close(report_);
}

void background::ready(bool keep_output, bool keep_directory) {
  if (!detached()) return;
  if (!keep_directory && ::chdir("/") != 0) throw start_error::from_errno("chdir /");
  if (!keep_output) redirect_to_null();
  const char word = 1;
  // A parent that is gone has nobody to tell.
  [[maybe_unused]] const ssize_t n = ::write(report_, &word, 1);
  ::close(report_);
  report_ = -1;
}

pid_file::pid_file(const std::string& path) {
  if (path.empty()) return;
  // The working directory may change before the file is removed.
  path_ = std::filesystem::absolute(path);
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw start_error::from_errno("pid file " + path_);
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    char owner[24] = {};
    const ssize_t n = ::read(descriptor_, owner, sizeof owner - 1);
    const std::string pid(owner, static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    ::close(descriptor_);
    throw start_error("pid file " + path_ + ": held by running process " +
                      pid.substr(0, pid.find('\n')));
  }
  const std::string pid = std::to_string(::getpid()) + '\n';
  if (::ftruncate(descriptor_, 0) != 0 ||
      ::pwrite(descriptor_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    const start_error error = start_error::from_errno("pid file " + path_);
    ::close(descriptor_);
    throw error;
  }
}

pid_file::~pid_file() {
  if (descriptor_ < 0) return;
  // In root's directory it cannot be removed after -u; an empty one misleads nobody.
  if (::unlink(path_.c_str()) != 0 && ::ftruncate(descriptor_, 0) != 0)
    spdlog::warn("pid file {} is left behind: {}", path_, std::generic_category().message(errno));
  ::close(descriptor_);
}

void pid_file::give_to(uid_t user, gid_t group) const {
  if (descriptor_ >= 0 && ::fchown(descriptor_, user, group) != 0)
    throw start_error::from_errno("pid file " + path_);
}

identity find_identity(const std::string& user) {
  if (::geteuid() != 0) return {::geteuid(), ::getegid(), ""};
  if (user.empty()) throw start_error("can't run as root without the -u switch");
  errno = 0;
  const passwd* entry = ::getpwnam(user.c_str());  // NOLINT(concurrency-mt-unsafe)
  if (entry == nullptr) throw start_error("can't find the user " + user + " to switch to");
  return {entry->pw_uid, entry->pw_gid, user};
}

void become(const identity& who) {
  if (::geteuid() != 0 || who.user == 0) return;
  if (::initgroups(who.name.c_str(), who.group) != 0 || ::setgid(who.group) != 0 ||
      ::setuid(who.user) != 0)
    throw start_error::from_errno("failed to assume identity of user " + who.name);
}

void allow_core_dumps() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_CORE, &limit) != 0) throw start_error::from_errno("core dumps");
  const rlimit most{RLIM_INFINITY, RLIM_INFINITY};
  if (::setrlimit(RLIMIT_CORE, &most) == 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_cur == 0)
    throw start_error("failed to ensure core file creation: the hard limit is 0");
}

void lock_memory() {
  if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
    throw start_error::from_errno("-k: failed to lock the memory (see RLIMIT_MEMLOCK)");
}

void release_code() noexcept {
  const auto of_object = [](dl_phdr_info* object, std::size_t, void*) {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    for (const ElfW(Phdr)* part = object->dlpi_phdr; part != object->dlpi_phdr + object->dlpi_phnum;
         ++part) {
      // Never written to, so that the file has all of it.
      if (part->p_type != PT_LOAD || (part->p_flags & (PF_X | PF_W)) != PF_X) continue;
      const std::uintptr_t begin = (object->dlpi_addr + part->p_vaddr) / page * page;
      const std::uintptr_t end = object->dlpi_addr + part->p_vaddr + part->p_memsz;
      (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    }
    return 0;
  };
  ::dl_iterate_phdr(of_object, nullptr);
}

void allow_open_files(std::size_t clients, std::size_t beside) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) throw start_error::from_errno("open files");
  const rlim_t wanted = clients + beside;
  if (limit.rlim_cur >= wanted) return;
  const rlimit more{wanted, std::max(limit.rlim_max, wanted)};
  if (::setrlimit(RLIMIT_NOFILE, &more) == 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (limit.rlim_max < clients || ::setrlimit(RLIMIT_NOFILE, &limit) != 0)
    throw start_error("failed to set the limit of open files to " + std::to_string(clients) +
                      ": start as root (LimitNOFILE= in a unit) or ask for fewer connections (-c)");
}

void ignore_broken_pipes() {
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace tandem::proxy
