// Structured logs: one JSON object a line on standard error, with "time" (UTC) and "event" first.
// Never pass header values, passwords or key material. Any thread.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

namespace vexor::frontend {

void log_event(std::string_view event, boost::json::object fields);

// With U+FFFD for each octet that is no part of a character in UTF-8.
std::string utf8_text(std::string_view text);

}  // namespace vexor::frontend
