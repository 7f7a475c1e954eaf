// WholePayloads: the streams of pushed deltas that are stored as whole objects.
//
// One thread at a time, beside others that read the same push. Memory: `ingest_memory_bytes` / 4 of the push's objects,
// `fetch_cache_bytes` of stored ones, and one object with its stream.
#pragma once

#include "pack/push.h"

namespace vexor::pack {

class WholePayloads {
 public:
  WholePayloads(const PushSource& source, PackReceiver& receiver);
  // Of an entry whose number is settled. Errors: kLimitExceeded (so much was read on the way to all of them), those of a read.
  Result<std::string> make(std::uint32_t entry);

 private:
  const Limits& limits_;
  ObjectReader stored_;
  EntryReader entries_;
};

}  // namespace vexor::pack
