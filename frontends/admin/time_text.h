// Times as operators read them.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>

namespace vexor::frontend {

// Unix time in milliseconds, as 2026-11-27T00:25:00Z; empty for 0.
inline std::string time_text(std::int64_t ms) {
  if (ms == 0) return {};
  using namespace std::chrono;
  const sys_seconds at{floor<seconds>(milliseconds(ms))};
  const sys_days day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss clock(at - day);
  char out[40];
  std::snprintf(out, sizeof out, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()), static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
  return out;
}

}  // namespace vexor::frontend
