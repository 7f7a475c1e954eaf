// Structured logs: one JSON object a line on standard error, with "time" (UTC) and "event" first.
// Never pass header values, passwords or key material. Any thread.
#pragma once

#include <boost/json/object.hpp>
#include <string_view>

namespace vexor::frontend {

void log_event(std::string_view event, boost::json::object fields);

}  // namespace vexor::frontend
