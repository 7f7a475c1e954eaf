// The admin socket's messages: a length (u32, big-endian) and so many bytes of JSON; the first
// message of a connection may carry three file descriptors. Spec: docs/protocol/admin-socket.md.
//
// All block. One thread at a time per socket.
#pragma once

#include <array>
#include <boost/json.hpp>
#include <filesystem>
#include <optional>

#include "vexorstore/bytes.h"
#include "vexorstore/result.h"

namespace vexor::frontend {

constexpr std::size_t kFrameBytesMax = 16U << 20U;

class UniqueFd {
 public:
  explicit UniqueFd(int fd = -1) : fd_(fd) {}
  ~UniqueFd() { reset(); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset();
    fd_ = other.release();
    return *this;
  }
  int get() const { return fd_; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset();

 private:
  int fd_;
};

struct Frame {
  boost::json::object message;
  std::array<UniqueFd, 3> descriptors;  // valid when the sender passed them
};

// Errors: kIo; kUnavailable when no server listens there.
Result<UniqueFd> connect_unix(const std::filesystem::path& path);
Result<void> send_frame(int socket, const boost::json::object& message, const std::array<int, 3>* descriptors = nullptr);
// nullopt: the peer closed the connection between frames. Errors: kIo, kProtocol, kLimitExceeded.
Result<std::optional<Frame>> receive_frame(int socket, std::size_t bytes_max = kFrameBytesMax);

}  // namespace vexor::frontend
