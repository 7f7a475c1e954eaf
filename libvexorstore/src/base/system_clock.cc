#include <chrono>

#include "vexorstore/sys/clock.h"

namespace vexor::sys {

namespace {
class SystemClock final : public Clock {
 public:
  std::int64_t wall_time_ms() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  }
  std::int64_t monotonic_time_ms() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
};
}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

}  // namespace vexor::sys
