#include "admin/frame.h"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace vexor::frontend {

namespace {

constexpr int kJsonDepthMax = 16;

Error io_error(const char* what) { return Error(Errc::kIo, std::string(what) + ": " + std::strerror(errno)); }

Result<void> send_all(int socket, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return io_error("admin socket: send");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return success();
}

}  // namespace

void UniqueFd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Result<UniqueFd> connect_unix(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.string().size() >= sizeof address.sun_path) return Error(Errc::kInvalidArgument, "the socket's path is too long");
  std::strcpy(address.sun_path, path.c_str());
  UniqueFd out(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (out.get() < 0) return io_error("admin socket");
  if (::connect(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return Error(Errc::kUnavailable, "no server listens on " + path.string() + ": " + std::strerror(errno));
  }
  return out;
}

Result<void> send_frame(int socket, const boost::json::object& message, const std::array<int, 3>* descriptors) {
  const std::string body = boost::json::serialize(message);
  if (body.size() > kFrameBytesMax) return Error(Errc::kLimitExceeded, "the message is too long for the admin socket");
  std::string bytes;
  for (const unsigned shift : {24U, 16U, 8U, 0U}) bytes.push_back(static_cast<char>(body.size() >> shift & 0xFFU));
  if (descriptors != nullptr) {  // they travel with the length
    iovec data{bytes.data(), bytes.size()};
    alignas(cmsghdr) char room[CMSG_SPACE(sizeof *descriptors)] = {};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = room;
    header.msg_controllen = sizeof room;
    cmsghdr* control = CMSG_FIRSTHDR(&header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof *descriptors);
    std::memcpy(CMSG_DATA(control), descriptors->data(), sizeof *descriptors);
    if (::sendmsg(socket, &header, MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size())) return io_error("admin socket: send");
    bytes.clear();
  }
  bytes += body;
  return send_all(socket, bytes);
}

Result<std::optional<Frame>> receive_frame(int socket, std::size_t bytes_max) {
  Frame frame;
  std::string bytes(4, '\0');
  std::size_t have = 0;
  bool in_body = false;
  for (;;) {
    iovec data{bytes.data() + have, bytes.size() - have};
    alignas(cmsghdr) char room[CMSG_SPACE(3 * sizeof(int))] = {};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = room;
    header.msg_controllen = sizeof room;
    const ssize_t count = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return io_error("admin socket: receive");
    for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr; control = CMSG_NXTHDR(&header, control)) {
      if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
      const std::size_t passed = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      for (std::size_t i = 0; i < passed; ++i) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
        if (i < frame.descriptors.size()) frame.descriptors[i] = UniqueFd(fd);
        else ::close(fd);
      }
    }
    if (count == 0) {
      if (have == 0 && !in_body) return std::optional<Frame>();
      return Error(Errc::kProtocol, "admin socket: the message ends too early");
    }
    have += static_cast<std::size_t>(count);
    if (have < bytes.size()) continue;
    if (in_body) break;
    std::size_t size = 0;
    for (const char c : bytes) size = size << 8U | static_cast<unsigned char>(c);
    if (size > bytes_max) return Error(Errc::kLimitExceeded, "admin socket: the message is too long");
    if (size == 0) return Error(Errc::kProtocol, "admin socket: an empty message");
    bytes.assign(size, '\0');
    have = 0;
    in_body = true;
  }
  boost::system::error_code failed;
  boost::json::parse_options options;
  options.max_depth = kJsonDepthMax;
  boost::json::value value = boost::json::parse(bytes, failed, {}, options);
  if (failed || !value.is_object()) return Error(Errc::kProtocol, "admin socket: the message is not a JSON object");
  frame.message = std::move(value.get_object());
  return std::optional<Frame>(std::move(frame));
}

}  // namespace vexor::frontend
