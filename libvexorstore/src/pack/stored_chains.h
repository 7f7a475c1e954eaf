// StoredChains: how deep a stored object lies, and what reading it costs.
//
// One thread at a time. Memory: some 4 MB at most.
#pragma once

#include <unordered_map>

#include "pack/object_reader.h"

namespace vexor::pack {

// An object and the deltas below it, down to a whole one.
struct Chain {
  std::uint32_t depth = 0;   // deltas; 0: the object is whole
  std::uint64_t bytes = 0;   // of all objects of the chain: what is made to read the last
};

// So many objects of one size are never too dear a chain; and a stored chain up to this depth is not walked.
constexpr std::uint32_t kShortChain = 64;

class StoredChains {
 public:
  explicit StoredChains(ObjectReader& reader) : reader_(reader) {}

  // Up to kShortChain the bytes are an estimate; beyond, and up to delta_depth_max, both numbers are what the rows say
  // now. A longer chain is only known to be longer. Errors: those of ObjectReader::entry.
  Result<Chain> of(ObjectNumber number);

 private:
  Result<Chain> walk(ObjectNumber number);

  ObjectReader& reader_;
  std::unordered_map<ObjectNumber, Chain> walked_;  // bounded
};

}  // namespace vexor::pack
