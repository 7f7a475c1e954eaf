#include "common/log.h"

#include <boost/json/serialize.hpp>
#include <chrono>
#include <ctime>
#include <unistd.h>

namespace vexor::frontend {

void log_event(std::string_view event, boost::json::object fields) {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char date[32];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
  char time[48];
  std::snprintf(time, sizeof time, "%s.%03dZ", date, static_cast<int>(ms));
  boost::json::object line{{"time", time}, {"event", event}};
  for (auto& field : fields) line[field.key()] = std::move(field.value());
  const std::string text = boost::json::serialize(line) + "\n";
  // One write: lines of several threads do not mix.
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace vexor::frontend
