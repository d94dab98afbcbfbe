#include "proxy/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "proxy/log.h"
#include "proxy/start_error.h"

namespace tandem::proxy {
namespace {

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
  return address;
}

error_code last_error() {
  return {errno, boost::system::generic_category()};
}

// Somebody listens there, or would if it had room.
bool is_alive(const sockaddr_un& address) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return true;
  const bool connected =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  const bool refused = !connected && errno == ECONNREFUSED;
  ::close(probe);
  return !refused;
}

}  // namespace

std::string connect_unix_socket(tcp_socket& socket, const std::string& path) {
  const sockaddr_un address = address_of(path);
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return std::strerror(errno);
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const std::string why = std::strerror(errno);
    ::close(descriptor);
    return why;
  }
  error_code ec;
  socket.assign(tcp::v4(), descriptor, ec);  // the family matters to opening only
  if (ec) ::close(descriptor);
  return ec ? ec.message() : std::string();
}

// -d changes the working directory.
unix_socket_file::unix_socket_file(const std::string& path, unsigned mask)
    : path_(std::filesystem::absolute(path).string()), mask_(mask) {
  if (path_.size() >= sizeof(sockaddr_un::sun_path))
    throw start_error("UNIX socket " + path_ + ": the path is too long");
}

unix_socket_file::~unix_socket_file() {
  remove();
}

void unix_socket_file::remove() noexcept {
  struct stat there {};
  if (inode_ == 0 || ::lstat(path_.c_str(), &there) != 0) return;
  if (there.st_ino != inode_ || there.st_dev != device_) return;
  if (::unlink(path_.c_str()) != 0)
    spdlog::warn("UNIX socket {} is left behind: {}", path_, std::strerror(errno));
  inode_ = 0;
}

void unix_socket_file::bind(tcp_acceptor& acceptor, error_code& ec) {
  error_code ignored;
  acceptor.close(ignored);
  ec = {};
  const sockaddr_un address = address_of(path_);
  struct stat there {};
  if (::lstat(path_.c_str(), &there) == 0 && S_ISSOCK(there.st_mode) &&
      ((there.st_ino == inode_ && there.st_dev == device_) || !is_alive(address)))
    ::unlink(path_.c_str());
  const int fresh = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fresh < 0) {
    ec = last_error();
    return;
  }
  // Linux gives the file the socket's mode less the umask: never more than asked for, not even for
  // the moment until chmod() has undone the umask.
  ::fchmod(fresh, mask_);
  if (::bind(fresh, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path_.c_str(), mask_) != 0 || ::lstat(path_.c_str(), &there) != 0) {
    ec = last_error();
    ::close(fresh);
    return;
  }
  device_ = there.st_dev;
  inode_ = there.st_ino;
  acceptor.assign(tcp::v4(), fresh, ec);
  if (ec) ::close(fresh);
}

void unix_socket_file::give_to(uid_t user, gid_t group) const {
  // Without root's power there is nobody else to become.
  if (::geteuid() != 0) return;
  if (inode_ != 0 && ::lchown(path_.c_str(), user, group) != 0)
    throw start_error::from_errno("UNIX socket " + path_);
}

}  // namespace tandem::proxy
