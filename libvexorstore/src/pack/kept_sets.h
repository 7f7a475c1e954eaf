// Kept sets: what clones of a repository ask for, as rows of the store, so that the first clone after a start need not
// compose it from thousands of bitmaps. Derived. Spec: docs/format/meta.md.
//
// A row says of which tips it is the set, and counts where those tips are still asked for, or are reached by what is
// asked for besides. So it needs no generation of refs: a push leaves it as it is, and the next reader adds what is new.
#pragma once

#include <array>

#include "pack/reachability_walker.h"

namespace vexor::pack {

enum class KeptKind : std::uint8_t { kAllRefs = 0, kBranchesAndTags = 1 };
inline constexpr std::array kKeptKinds = {KeptKind::kAllRefs, KeptKind::kBranchesAndTags};
// With fewer tips there is no row: composing them is cheap.
inline constexpr std::size_t kKeptTipsMin = 64;

struct KeptSet {
  std::uint64_t sweeps = 0;  // of the pool, when it was composed
  Roaring tips;
  Roaring set;  // what they reach
};
std::string encode_kept_set(const KeptSet& kept);
Result<KeptSet> decode_kept_set(Bytes value);
std::string kept_set_key(RepositoryId repository, KeptKind kind);

// Null: there is none, or it is of before a sweep.
Result<std::shared_ptr<const KeptSet>> read_kept_set(StoreSource& source, RepositoryId repository, KeptKind kind);

// Adds to `out`, which must be closed, what `tips` reach: from bitmaps where there are, else by walking.
Result<void> add_reached(StoreSource& source, ReachabilityWalker& walker, const std::vector<ObjectNumber>& tips, Roaring& out);
// The set of many tips, from a kept one and what its tips do not reach. Null: none helps.
Result<SetPtr> reached_from_kept(StoreSource& source, ReachabilityWalker& walker, RepositoryId repository,
                                 const std::vector<ObjectNumber>& tips);

// Composes the sets that clones will ask for (all refs; branches and tags), keeps them in the store's caches, and adds
// the rows of those with many tips to `rows`.
Result<void> compose_kept_sets(store::StoreCore& core, const store::RepositorySnapshot& repository, ObjectReader& reader,
                               sys::Batch& rows);
// The same, and commits the rows. Blocks. Errors: those of reading, and of Committer::submit.
Result<void> keep_clone_sets(store::StoreCore& core, const store::RepositorySnapshot& repository, ObjectReader& reader);

}  // namespace vexor::pack
