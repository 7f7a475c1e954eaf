#include "pack/stored_chains.h"

namespace vexor::pack {

namespace {
constexpr std::size_t kWalkedMax = 1U << 16U;
}

// The estimate takes all objects to be as large as the last, as the versions of a file are. Where they are not, it
// overlooks no more than kShortChain objects: the next one upon them has a chain that is walked.
Result<Chain> StoredChains::of(ObjectNumber number) {
  const auto known = walked_.find(number);
  if (known != walked_.end()) return known->second;
  VEXOR_TRY(const StoredEntry entry, reader_.entry(number));
  if (!entry.object.is_delta) return Chain{0, entry.object.object_bytes};
  if (entry.object.depth > kShortChain) return walk(number);
  return Chain{entry.object.depth, (entry.object.depth + std::uint64_t{1}) * entry.object.object_bytes};
}

Result<Chain> StoredChains::walk(ObjectNumber number) {
  const std::uint32_t depth_max = reader_.limits().delta_depth_max;
  std::vector<std::pair<ObjectNumber, std::uint64_t>> path;  // deltas, each upon the next, and their sizes
  Chain chain;
  for (ObjectNumber at = number; path.size() <= depth_max;) {
    if (const auto known = walked_.find(at); known != walked_.end()) {
      chain = known->second;
      break;
    }
    VEXOR_TRY(const StoredEntry entry, reader_.entry(at));
    if (!entry.object.is_delta) {
      chain.bytes = entry.object.object_bytes;
      break;
    }
    path.emplace_back(at, entry.object.object_bytes);
    at = entry.object.base;
  }
  const bool is_whole_walk = path.size() <= depth_max;  // else those low in the path are deeper than it says
  if (walked_.size() + path.size() > kWalkedMax) walked_.clear();
  for (auto step = path.rbegin(); step != path.rend(); ++step) {
    ++chain.depth;
    chain.bytes += step->second;
    if (is_whole_walk || step->first == number) walked_[step->first] = chain;
  }
  return chain;
}

}  // namespace vexor::pack
