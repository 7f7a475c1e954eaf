#include "common/fd_pump.h"

#include <array>
#include <cerrno>
#include <poll.h>
#include <unistd.h>

#include "common/fd_io.h"
#include "common/keep_alive.h"

namespace vexor::frontend {

namespace {

constexpr std::size_t kPieceBytes = 64 * 1024;

}  // namespace

PumpResult pump_descriptors(protocol::Session& session, int input, int output, int idle_seconds_max, int keep_alive_ms, const std::atomic<bool>& stop) {
  using protocol::Wants;
  PumpResult result;
  const NonBlocking writing(output);
  std::array<char, kPieceBytes> room{};
  bool told_end = false;
  KeepAlive keep_alive(keep_alive_ms);
  const auto send = [&](Bytes bytes) {
    if (!write_all(output, bytes, idle_seconds_max, stop)) return false;
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
        if (!keep_alive.run_work(session, send)) return result;
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
        if (!send(Bytes(room.data(), count))) return result;
        break;
      }
    }
  }
  return result;
}

}  // namespace vexor::frontend
