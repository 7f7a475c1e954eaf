// zstd frames of a known size. Spec: RFC 8878, docs/format/extent.md (cold form).
#pragma once

#include <string>

#include "vexorstore/bytes.h"
#include "vexorstore/result.h"

namespace vexor::compress {

// One frame that tells its size and ends with a checksum of the contents.
std::string compress_frame(Bytes contents, int level);

// The contents of a frame that is exactly one such frame of `contents_bytes`, over what `out` held. Memory: that size and
// no more, whatever the frame says; the caller bounds it. Errors: kCorrupt.
Result<void> expand_frame(Bytes frame, std::uint64_t contents_bytes, std::string& out);

}  // namespace vexor::compress
