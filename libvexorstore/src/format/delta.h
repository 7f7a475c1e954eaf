// Deltas: instructions that make an object from a base. Spec: gitformat-pack, "Deltified representation".
#pragma once

#include "vexorstore/bytes.h"
#include "vexorstore/result.h"

namespace vexor::format {

struct DeltaSizes {
  std::uint64_t base_bytes = 0;
  std::uint64_t result_bytes = 0;
  std::size_t header_bytes = 0;
};
// Errors: kProtocol.
Result<DeltaSizes> decode_delta_sizes(Bytes delta);
// Replaces `out`. Errors: kProtocol (does not fit the base, leaves its bounds, another size than it
// says), kLimitExceeded (result over `result_bytes_max`). Never allocates more than the result.
Result<void> apply_delta(Bytes base, Bytes delta, std::uint64_t result_bytes_max, std::string& out);

}  // namespace vexor::format
