// Making deltas: instructions that turn a base into an object, found by the base's blocks of 16 octets.
// Spec: gitformat-pack, "Deltified representation"; docs/format/wire.md.
//
//   delta       := base-bytes result-bytes instruction*
//   instruction := insert of 1 to 127 octets | copy of 1 to 65536 octets of the base
//
// Every 16th block of the base is in a hash table; a rolling hash goes over the object octet by octet, and
// the longest match of the base's blocks with that hash is extended to both sides.
#pragma once

#include <vector>

#include "vexorstore/bytes.h"

namespace vexor::format {

class DeltaIndex {
 public:
  // `base` must outlive the index; below 4 GiB. Takes about three quarters of its size.
  explicit DeltaIndex(Bytes base);
  std::size_t memory_bytes() const { return starts_.size() * sizeof(std::uint32_t) + blocks_.size() * sizeof(Block); }
  // Replaces `out` by a delta that yields `object`. False: it would be longer than `bytes_max`.
  bool encode(Bytes object, std::size_t bytes_max, std::string& out) const;

 private:
  struct Block {
    std::uint32_t hash;
    std::uint32_t offset;
  };
  struct Match {
    std::size_t offset = 0;
    std::size_t size = 0;
  };
  Match find(std::uint32_t hash, Bytes rest) const;

  Bytes base_;
  unsigned shift_ = 0;                 // of a scattered hash to its bucket
  std::vector<std::uint32_t> starts_;  // of each bucket in blocks_, and the end
  std::vector<Block> blocks_;          // by bucket, by offset
};

}  // namespace vexor::format
