#include "pack/whole_payloads.h"

#include "compress/zlib_stream.h"

namespace vexor::pack {

WholePayloads::WholePayloads(const PushSource& source, PackReceiver& receiver)
    : limits_(source.reader().limits()),
      stored_(source.reader().snapshot(), source.reader().pool(), source.reader().algorithm(), limits_),
      entries_(receiver.entry_reader(stored_, limits_.ingest_memory_bytes / 4)) {}

// An object above one that is stored whole is read through the pack's own deltas, from as far down as the cache does not
// reach: a pack can be made so that this costs much more than resolving it did.
Result<std::string> WholePayloads::make(std::uint32_t entry) {
  VEXOR_TRY(const auto content, entries_.read(entry));
  if (entries_.made_bytes() + stored_.made_bytes() > limits_.resolve_bytes_max) return Error(Errc::kLimitExceeded, "inflated bytes of a push");
  return compress::deflate(*content, kWholeLevel);
}

}  // namespace vexor::pack
