// What every fuzz target includes. A target decodes hostile bytes: it must neither crash nor accept a
// value that does not encode back to itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "vexorstore/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace vexor {
inline Bytes fuzz_bytes(const std::uint8_t* data, std::size_t size) { return {reinterpret_cast<const char*>(data), size}; }
inline void must(bool condition) {
  if (!condition) std::abort();
}
}  // namespace vexor
