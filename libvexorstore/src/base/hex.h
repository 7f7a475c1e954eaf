// Hexadecimal text.
#pragma once

#include <optional>
#include <string>

#include "vexorstore/bytes.h"

namespace vexor {

std::string to_hex(Bytes bytes);
// nullopt on an odd length or a digit that is none. Upper and lower case are taken.
std::optional<std::string> from_hex(Bytes text);

}  // namespace vexor
