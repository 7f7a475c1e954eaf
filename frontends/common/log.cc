#include "common/log.h"

#include <boost/json/serialize.hpp>
#include <chrono>
#include <ctime>
#include <unistd.h>

namespace vexor::frontend {

namespace {

// Octets of the character that begins `text`, as of RFC 3629; 0: none does.
std::size_t utf8_octets(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto follows = [&](std::size_t i, unsigned least = 0x80, unsigned most = 0xbf) { return at(i) >= least && at(i) <= most; };
  const unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) return follows(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf) && follows(2) ? 3 : 0;
  if (first >= 0xf0 && first <= 0xf4) return follows(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf) && follows(2) && follows(3) ? 4 : 0;
  return 0;
}

}  // namespace

std::string utf8_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t octets = utf8_octets(text);
    if (octets == 0) out += "\xef\xbf\xbd";
    else out += text.substr(0, octets);
    text.remove_prefix(octets == 0 ? 1 : octets);
  }
  return out;
}

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
  const std::string text = utf8_text(boost::json::serialize(line)) + "\n";  // what peers send may be anything
  // One write: lines of several threads do not mix.
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace vexor::frontend
