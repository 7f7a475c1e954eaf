// DeltaResolver: all deltas of a received pack to objects. What is never reached from a base has none (or is a
// cycle) and is refused.
//
// First the families whose bases the pack holds whole, several at once (family_walk.h). Then what names a base by
// an id that was not known before, or that only the repository has: one after the other. The outcome does not
// depend on how many workers there are, nor does the error, unless one family has several.
#pragma once

#include <memory>
#include <optional>

#include "pack/family_walk.h"
#include "vexorstore/sys/worker_pool.h"

namespace vexor::pack {

// A pack that was received: all its entries, those that are no deltas with their ids.
struct ResolveInput {
  std::vector<PushEntry>& entries;
  Spool& spool;
  ObjectReader& stored;
  const Limits& limits;
  HashAlgorithm algorithm;
  const format::ObjectChecker& checker;
  std::uint32_t delta_count;
  std::uint64_t inflated_bytes;  // so far
};

// Threads: one at a time. Memory: limits.ingest_memory_bytes of contents over all workers, and one object.
class DeltaResolver {
 public:
  // `children`: not sorted yet; `visible`: what may be a base of a thin pack.
  DeltaResolver(const ResolveInput& input, DeltaChildren& children, store::SetPtr visible, sys::WorkerPool& workers);

  // Resolves some; true when all are. Bounded: some 32 MiB inflated by each worker, or one object.
  Result<bool> resolve_some();
  std::uint32_t deltas_resolved() const { return state_.deltas_resolved.load(std::memory_order_relaxed); }
  // When all are: what trees call .gitmodules.
  std::unordered_set<ObjectId, ObjectIdHash>& modules() { return modules_; }

 private:
  // One walk at work on families.
  struct Share {
    explicit Share(ResolveState& state, std::uint64_t memory_bytes, std::uint64_t large_bytes) : walk(state, memory_bytes, large_bytes) {}
    FamilyWalk walk;
    std::size_t family = 0;  // index of roots_
    bool is_waiting = false;  // to be alone, for a large object
    std::optional<Error> failed;
  };

  void link_whole_bases();
  Result<bool> resolve_families();
  void work(Share& share, bool alone);
  void fail(Share& share, Error error);
  Result<bool> resolve_by_id();
  Result<bool> begin_stored(const ObjectId& base);
  Result<bool> finish();

  DeltaChildren& children_;
  store::SetPtr visible_;
  sys::WorkerPool& workers_;
  std::uint32_t delta_count_;
  ResolveState state_;
  std::vector<std::uint32_t> roots_;  // of families, in order
  std::atomic<std::size_t> next_family_{0};
  std::atomic<std::size_t> failed_family_;  // the first known to be bad
  std::vector<std::unique_ptr<Share>> shares_;
  std::unique_ptr<FamilyWalk> rest_;  // deltas on ids
  std::uint32_t next_entry_ = 0;
  std::size_t next_stored_ = 0;
  std::unordered_set<ObjectId, ObjectIdHash> modules_;
};

}  // namespace vexor::pack
