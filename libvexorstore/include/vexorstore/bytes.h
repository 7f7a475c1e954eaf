// Byte strings. `Bytes` is a view of raw octets (not text); ownership is a std::string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vexor {

using Bytes = std::string_view;

// The octet at `index`, as a number 0..255. Requires index < bytes.size().
inline std::uint8_t octet(Bytes bytes, std::size_t index) {
  return static_cast<std::uint8_t>(bytes[index]);
}

}  // namespace vexor
