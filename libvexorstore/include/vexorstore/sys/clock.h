// Time as a parameter: nothing below the edge reads a clock by itself.
#pragma once

#include <cstdint>

namespace vexor::sys {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t wall_time_ms() const = 0;       // Unix time in milliseconds
  virtual std::int64_t monotonic_time_ms() const = 0;  // never goes back; origin unspecified
};

// The operating system's clocks. Any thread.
const Clock& system_clock();

}  // namespace vexor::sys
