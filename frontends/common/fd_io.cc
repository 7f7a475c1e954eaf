#include "common/fd_io.h"

#include <cerrno>
#include <chrono>
#include <poll.h>
#include <unistd.h>

namespace vexor::frontend {

namespace {
constexpr int kTurnMs = 200;
}  // namespace

bool wait_for(int fd, short events, int idle_seconds_max, const std::atomic<bool>& stop) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(idle_seconds_max);
  while (!stop.load() && std::chrono::steady_clock::now() < end) {
    pollfd waiting{fd, events, 0};
    const int ready = ::poll(&waiting, 1, kTurnMs);
    if (ready < 0 && errno != EINTR) return false;
    if (ready > 0) return (waiting.revents & POLLNVAL) == 0;
  }
  return false;
}

bool write_all(int fd, Bytes bytes, int idle_seconds_max, const std::atomic<bool>& stop) {
  while (!bytes.empty()) {
    if (!wait_for(fd, POLLOUT, idle_seconds_max, stop)) return false;
    const ssize_t step = ::write(fd, bytes.data(), bytes.size());
    if (step < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (step <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(step));
  }
  return true;
}

}  // namespace vexor::frontend
