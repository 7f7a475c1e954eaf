// How long a session waits before it is begun again at another server.
#pragma once

#include <algorithm>
#include <chrono>

namespace vexor::frontend {

// `tries`: so far. Short while a hand-over may be on its way, which takes some tens of milliseconds; all of 100 are 9 seconds.
inline std::chrono::milliseconds retry_pause(int tries) { return std::chrono::milliseconds(std::min(100, 5 << std::min(tries / 4, 5))); }

}  // namespace vexor::frontend
