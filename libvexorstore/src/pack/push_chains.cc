// The chains of a push's deltas as they will be stored, and where they are cut.
#include <algorithm>

#include "pack/push.h"
#include "pack/stored_chains.h"

namespace vexor::pack {

namespace {
constexpr std::uint64_t kUnknown = UINT64_MAX;
}

ObjectNumber PushSource::base_of(const PushEntry& entry) const {
  if (!entry.is_delta) return kNoObject;
  return entry.base_entry == kNoEntry ? entry.base_number : numbers_[entry.base_entry];
}

// Objects are shared by the forks of a pool, so what lies below a base is not this client's doing, and does not make its
// push fail: the delta is stored whole, and chains go on from there. An object that is there already has the form that
// it has there, whatever its form in the pack.
Result<void> PushSource::settle_chains() {
  std::vector<PushEntry>& entries = receiver_->entries();
  std::vector<std::uint64_t> bytes(new_entries_.size(), kUnknown);  // of the chain of each new object
  StoredChains stored(reader_);
  StoredChains arrived(receiver_->reader());  // which has the rows at hand: it read the bases of the thin pack
  std::vector<std::uint32_t> waiting;  // new objects, each a delta upon the next
  for (std::uint32_t start = 0; start < new_entries_.size(); ++start) {
    for (std::uint32_t at = start; bytes[at] == kUnknown;) {
      if (waiting.size() > new_entries_.size()) return Error(Errc::kProtocol, "pack: deltas upon each other");  // by way of a second copy of one
      PushEntry& entry = entries[new_entries_[at]];
      const ObjectNumber base = base_of(entry);
      Chain below;
      if (base != kNoObject && is_new(base)) {
        below = {entries[new_entries_[base - first_]].depth, bytes[base - first_]};
        if (below.bytes == kUnknown) {
          waiting.push_back(at);
          at = base - first_;
          continue;
        }
      } else if (base != kNoObject) {
        VEXOR_TRY(below, (entry.base_entry == kNoEntry ? arrived : stored).of(base));
      }
      VEXOR_TRY(bytes[at], settle_chain(entry, below));
      if (waiting.empty()) break;
      at = waiting.back();
      waiting.pop_back();
    }
  }
  return success();
}

// The bytes of the entry's chain, which is cut here if it would be too deep or too dear.
Result<std::uint64_t> PushSource::settle_chain(PushEntry& entry, const Chain& below) {
  const Limits& limits = reader_.limits();
  const std::uint64_t bytes_max = std::max(limits.chain_bytes_max, kShortChain * entry.object_bytes);
  entry.stored_whole = entry.is_delta && (below.depth >= limits.delta_depth_max || below.bytes + entry.object_bytes > bytes_max);
  entry.depth = entry.is_delta && !entry.stored_whole ? below.depth + 1 : 0;
  if (!entry.stored_whole) return below.bytes + entry.object_bytes;
  whole_bytes_ += entry.object_bytes;
  if (whole_bytes_ > limits.whole_bytes_per_push_max) {
    return Error(Errc::kLimitExceeded, "bytes of deltas upon too long chains " + std::to_string(whole_bytes_) + " over " + std::to_string(limits.whole_bytes_per_push_max));
  }
  return entry.object_bytes;
}

}  // namespace vexor::pack
