// What a promotion may lose, as far as the member that is promoted can know it.
#pragma once

#include <string>

#include "vexorstore/result.h"

namespace vexor::frontend {

// Asks /healthz of the member's monitor at HOST:PORT; blocks for some seconds at most. Lines for an operator. Errors: kUnavailable (it does not answer, or
// is no member of a set), kInvalidArgument (it is another member, or leads).
Result<std::string> loss_report(const std::string& monitor, std::uint64_t node);
// From what /healthz says, for tests.
Result<std::string> loss_report_of(const std::string& health, std::uint64_t node);

}  // namespace vexor::frontend
