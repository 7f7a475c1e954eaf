#include "common/fd_pump.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "common/keep_alive.h"

namespace vexor::frontend {

namespace {

constexpr int kTurnMs = 200;
constexpr std::size_t kPieceBytes = 64 * 1024;

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

// Writes must not block past the idle limit; the flag goes back to what it was.
class NonBlocking {
 public:
  explicit NonBlocking(int fd) : fd_(fd), before_(::fcntl(fd, F_GETFL)) { ::fcntl(fd_, F_SETFL, before_ | O_NONBLOCK); }
  ~NonBlocking() { ::fcntl(fd_, F_SETFL, before_); }
  NonBlocking(const NonBlocking&) = delete;
  NonBlocking& operator=(const NonBlocking&) = delete;

 private:
  int fd_;
  int before_;
};

}  // namespace

PumpResult pump_descriptors(protocol::Session& session, int input, int output, int idle_seconds_max, int keep_alive_ms, const std::atomic<bool>& stop) {
  using protocol::Wants;
  PumpResult result;
  const NonBlocking writing(output);
  std::array<char, kPieceBytes> room{};
  bool told_end = false;
  KeepAlive keep_alive(keep_alive_ms);
  const auto write_all = [&](Bytes bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
      if (!wait_for(output, POLLOUT, idle_seconds_max, stop)) return false;
      const ssize_t step = ::write(output, bytes.data() + done, bytes.size() - done);
      if (step < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (step <= 0) return false;
      done += static_cast<std::size_t>(step);
    }
    result.bytes_out += bytes.size();
    keep_alive.sent();
    return true;
  };
  while (!stop.load()) {
    switch (session.wants()) {
      case Wants::kDone:
        result.ok = session.failure() == nullptr;
        return result;
      case Wants::kWork:
        if (!keep_alive.run_work(session, write_all)) return result;
        break;
      case Wants::kInput: {
        if (told_end || !wait_for(input, POLLIN, idle_seconds_max, stop)) return result;
        const ssize_t count = ::read(input, room.data(), room.size());
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) break;
        if (count <= 0) {
          told_end = true;
          session.end_of_input();
          break;
        }
        session.feed(Bytes(room.data(), static_cast<std::size_t>(count)));
        result.bytes_in += static_cast<std::uint64_t>(count);
        break;
      }
      case Wants::kOutput: {
        const std::size_t count = session.drain(room);
        if (!write_all(Bytes(room.data(), count))) return result;
        break;
      }
    }
  }
  return result;
}

}  // namespace vexor::frontend
