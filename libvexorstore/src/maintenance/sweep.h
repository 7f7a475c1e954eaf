// Sweep: erases the objects of a pool that nothing reaches any more.
//
// What is erased: an object that
//   (a) no ref of any repository of the pool reaches, hidden refs and repositories that were deleted within the
//       retention of deleted ones included;
//   (b) no value that a ref had within the retention reaches;
//   (c) was pushed before the retention; and
//   (d) is no delta base, at any depth, of an object that stays.
// "Within the retention" is by journal sequence: from the first record that is young enough on.
//
// Why it loses nothing. Erasing happens in steps; each holds the pool's gate alone (PoolGate), reads a
// snapshot inside it, and commits one batch before it lets go.
//   1. Whoever makes a ref name an object - a push, a fork, restoring - holds a pass of the gate from before its
//      snapshot until its commit. So of a step and a push, one is wholly before the other.
//   2. If the push is before the step, the step's snapshot has its journal record. The step adds what the
//      refs of all new records reach to what stays, and their new numbers, and the bases of these
//      (JournalWindow::advance, keep). What refs reached when the marking began is in the set already; so
//      the set holds all that refs reach in the step's snapshot, however often they moved in between. A repository
//      that is restored has its refs added in the same way; restoring proves in the pass that all is still there.
//   3. If the step is before the push, the push finds no index row for what was erased. An object that it
//      brings gets a new number and is stored again; one that it does not bring is missing, as it was: no
//      ref reached it, so it was not visible, and visible objects are all that a push may lean on (I4).
//   4. One thing of a push is older than its pass: deltas of a thin pack, whose bases were visible in the
//      snapshot that the pack arrived in. PushSource::check_bases looks again, inside the pass.
//   5. Readers have snapshots: RocksDB keeps what they see.
//   6. Rows that name erased numbers: the index and graph rows go with the object. Bitmaps of unreachable
//      tips go first, all in one batch, with those of objects that stay for (b) to (d) only: one that
//      stayed could lose its base and then be built upon by a push that brings its tip again. Sets in the
//      store's cache are keyed by the count of such batches. Graph rows of unreached commits that stay would
//      name erased trees and parents: they go before these, and the push that makes such a commit reachable
//      has to bring it and writes its row anew.
//   7. Numbers are not given again: the shapes stay (NumberAllocator).
//   8. A purge takes no gate. Every batch has "the extents are what was read" among its preconditions.
//   9. A crash: each batch is whole or not there, and after each the store is sound.
// Re-delta and merge do not run meanwhile: one maintenance at a time (MaintenanceSlot).
#pragma once

#include "maintenance/journal_window.h"
#include "maintenance/pool_task.h"
#include "pack/reachability_walker.h"

namespace vexor::maintenance {

class SweepTask final : public PoolTask {
 public:
  explicit SweepTask(PoolTaskContext& context) : context_(context) {}
  Result<bool> step(Budget& budget) override;

 private:
  enum class Phase { kMark, kScan, kBitmaps, kErase, kDone };
  using Pass = std::unique_ptr<store::PoolGate::Pass>;

  Result<void> mark();
  Result<bool> may_have_garbage(const sys::StorageSnapshot& snapshot) const;
  Result<void> scan(Budget& budget);
  Result<void> erase_bitmaps(Budget& budget);
  Result<void> erase_objects(Budget& budget);
  Result<void> sweep_extent(const sys::StorageSnapshot& snapshot, ExtentScan& extent, Replacement& out);

  // Takes over what the journal tells since the last call.
  Result<void> catch_up(const store::SnapshotPtr& snapshot);
  Result<void> keep_reached(pack::ReachabilityWalker& walker, ObjectNumber tip);
  Result<void> keep_bases_of(const sys::StorageSnapshot& snapshot, ObjectNumber first, std::uint32_t count);
  // Erases the graph rows of commits that stay and that nothing reaches.
  void drop_loose_graph(Replacement& out);
  // `numbers`, and the bases below them, are candidates no more.
  void keep(const Roaring& numbers);
  Pass enter_gate();

  PoolTaskContext& context_;
  Phase phase_ = Phase::kMark;
  Roaring reached_;     // what refs reach; closed
  Roaring pinned_;      // what stays besides
  Roaring candidates_;
  std::vector<std::pair<ObjectNumber, ObjectNumber>> candidate_bases_;  // of candidates that are deltas, by number
  Roaring needed_bases_;  // of objects that stay; while scanning
  Roaring loose_commits_;  // unreached when they were seen, with graph rows
  std::size_t ranges_seen_ = 0;  // of the pool's events
  std::size_t named_seen_ = 0;
  ObjectNumber scan_next_ = 0;
  ObjectNumber erase_next_ = 0;
  unsigned gate_tries_ = 0;
};

}  // namespace vexor::maintenance
