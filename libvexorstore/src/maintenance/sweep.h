// Sweep: erases the objects of a pool that nothing reaches any more (maintenance/unreached.h: which). Of a store of its own: members of
// a replica set forget by record (maintenance/forget.h).
//
// Why it loses nothing. Erasing happens in steps; each holds the pool's gate alone (PoolGate), reads a
// snapshot inside it, and commits one batch before it lets go.
//   1. Whoever makes a ref name an object - a push, a fork, restoring - holds a pass of the gate from before its
//      snapshot until its commit. So of a step and a push, one is wholly before the other.
//   2. If the push is before the step, the step's snapshot has its journal record. The step adds what the
//      refs of all new records reach to what stays, and their new numbers, and the bases of these
//      (JournalWindow::advance, Unreached::catch_up). What refs reached when the marking began is in the set already; so
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

#include "maintenance/unreached.h"

namespace vexor::maintenance {

class SweepTask final : public PoolTask {
 public:
  explicit SweepTask(PoolTaskContext& context) : context_(context), unreached_(context) {}
  Result<bool> step(Budget& budget) override;

 private:
  enum class Phase : std::uint8_t { kMark, kScan, kBitmaps, kErase, kDone };

  Result<void> erase_bitmaps(Budget& budget);
  Result<void> erase_objects(Budget& budget);
  Result<void> sweep_extent(const sys::StorageSnapshot& snapshot, ExtentScan& extent, Replacement& out);
  // Erases the graph rows of commits that stay and that nothing reaches.
  void drop_loose_graph(Replacement& out);

  PoolTaskContext& context_;
  Unreached unreached_;
  Phase phase_ = Phase::kMark;
  ObjectNumber erase_next_ = 0;
};

}  // namespace vexor::maintenance
