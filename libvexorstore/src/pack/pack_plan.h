// PackPlan: what one pack holds, and where its entries begin as far as they are written. Shared by all who send the
// same pack at the same time.
//
// Threads: all but `offsets` is constant. One thread writes offsets; others read those of entries that they know to be
// written (pack/shared_pack.h).
#pragma once

#include "store/store_core.h"

namespace vexor::pack {

using format::ObjectNumber;
using format::PoolId;
using store::SetPtr;

struct PackOptions {
  bool ofs_delta = true;
};

// Where each entry of the pack begins, by object number.
class EntryOffsets {
 public:
  explicit EntryOffsets(const std::vector<ObjectNumber>& numbers);
  void set(std::size_t index, std::uint64_t offset) { offsets_[is_dense_ ? numbers_[index] - first_ : index] = offset; }
  // 0: not in the pack, or not written (no entry begins before the pack's header ends).
  std::uint64_t find(ObjectNumber number) const;

 private:
  const std::vector<ObjectNumber>& numbers_;
  ObjectNumber first_ = 0;
  bool is_dense_ = false;
  std::vector<std::uint64_t> offsets_;
};

// Memory: 12 bytes for each object, and the sets.
struct PackPlan {
  // `send`: what goes into the pack. `have`: what the client is known to have and bases may come from; null without
  // thin-pack. `key`: of make_pack_key().
  PackPlan(std::string key, Roaring send, SetPtr have, PackOptions options);
  PackPlan(const PackPlan&) = delete;
  PackPlan& operator=(const PackPlan&) = delete;

  const std::string key;
  const Roaring send;
  const SetPtr have;
  const PackOptions options;
  const std::vector<ObjectNumber> numbers;  // of `send`, ascending
  EntryOffsets offsets;
};

// Names what makes the bytes of a pack: two packs of one key are the same.
Result<std::string> make_pack_key(const sys::StorageSnapshot& snapshot, PoolId pool, const Roaring& send, const SetPtr& have,
                                  PackOptions options);

}  // namespace vexor::pack
