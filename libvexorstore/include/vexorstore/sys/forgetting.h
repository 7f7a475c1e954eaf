// Forgetting: what a backend that keeps files does besides, so that erased rows are in none of them any more.
//
// Threads: any. Blocks on storage.
#pragma once

#include <cstdint>

#include "vexorstore/result.h"

namespace vexor::sys {

class Forgetting {
 public:
  virtual ~Forgetting() = default;
  // `moment`: 0 for now, then what the last call left there. False: snapshots or cursors from before the moment are open,
  // or files from before it that are in no use are still being removed; call again later. True: a compact() that begins
  // now leaves nothing of rows that were erased or replaced before the moment, and beside the rows' own files none from
  // before it is left: logs, and lists of files with their first and last keys. Errors: kIo.
  virtual Result<bool> forget(std::uint64_t& moment) = 0;
};

}  // namespace vexor::sys
