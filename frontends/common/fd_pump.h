// Runs a session over two file descriptors (pipes or sockets) on the calling thread.
#pragma once

#include <atomic>
#include <cstdint>

#include "vexorstore/protocol/session.h"

namespace vexor::frontend {

struct PumpResult {
  bool ok = false;  // the session ended well and all output was written
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

// Blocks until the session is done, the peer goes away, `idle_seconds_max` pass without a byte either
// way, or `stop` becomes true. A keep-alive goes out when the session is at work and nothing else did for
// `keep_alive_ms`. The descriptors may be blocking; they stay the caller's.
PumpResult pump_descriptors(protocol::Session& session, int input, int output, int idle_seconds_max, int keep_alive_ms, const std::atomic<bool>& stop);

}  // namespace vexor::frontend
