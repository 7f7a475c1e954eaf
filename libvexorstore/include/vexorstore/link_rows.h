// Log rows as they go over a link that is dearer than the CPU at its ends. Spec: docs/format/link-rows.md.
//
// Pure functions of their input; any thread. Memory: kLinkContentsMax and as much for what it is made of.
#pragma once

#include <string>

#include "vexorstore/bytes.h"
#include "vexorstore/result.h"

namespace vexor {

constexpr std::size_t kLinkContentsMax = 16U << 20U;  // of one piece, expanded
constexpr int kLinkLevel = 3;                         // of zstd

// A piece of log rows in the form for the link. Errors: kCorrupt (no log rows, or with an extent in cold form), kLimitExceeded (larger than a piece may be).
Result<std::string> to_link_rows(Bytes rows);
// Log rows of the same objects with the same contents; zlib streams are made anew, so that their sizes differ. Errors: kCorrupt.
Result<std::string> from_link_rows(Bytes link_rows);

}  // namespace vexor
