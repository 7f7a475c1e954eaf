// Forget: the primary of a replica set has all members forget objects of a pool that nothing reaches any more (maintenance/unreached.h: which), by
// journal records. Spec: docs/format/forgotten.md, docs/adr/0024-forgetting-by-record.md.
//
// A record erases index rows, graph rows and bitmaps, and says which numbers are forgotten; bytes go later (maintenance/drop.h).
//
// Why it loses nothing. A record is judged in a step that holds the pool's gate alone, as a step of a sweep is (maintenance/sweep.h), but
// a set can be between records being appended and being applied, and its primary can change:
//   1. The step waits, in the gate, until all that is appended is applied: a push whose outcome was not known in time let its
//      pass go, and may be in the log all the same. No other push can be: whoever pushes holds a pass until its record has an outcome.
//   2. The record is void (kConflict) if the store followed, led or took records back since the step began: Change::withdrawals.
//   3. The step's pass may end before its record is applied (its outcome is not known), and another primary may find it appended. So whatever
//      makes refs name objects has the pool's row 'f' among its preconditions, as of the snapshot in which it found them; the record
//      changes that row. Preconditions see what is appended, in whoever leads.
//   4. Rows of bitmaps of what nothing reaches go first, and graph rows of unreached commits, those that stay too. They are without objects, so that it makes no
//      difference where they end, as long as no bitmap outlives one that it builds on: the highest go first.
//   5. A repository of the pool must be there as it was: no purge took the pool meanwhile.
#pragma once

#include "maintenance/unreached.h"

namespace vexor::maintenance {

class ForgetTask final : public PoolTask {
 public:
  explicit ForgetTask(PoolTaskContext& context) : context_(context), unreached_(context) {}
  // Errors besides those of PoolTask: kRefused (too few servers), kIndeterminate.
  Result<bool> step(Budget& budget) override;

 private:
  enum class Phase : std::uint8_t { kMark, kScan, kBitmaps, kObjects, kDone };
  struct Step;  // in the gate

  Result<void> act(Budget& budget);
  Result<void> add_bitmaps(Step& step);
  Result<void> add_graph_rows(Step& step);
  Result<void> add_objects(Step& step, Budget& budget);
  Result<void> add_extent(Step& step, const ExtentScan& extent);
  Result<void> submit(Step& step);

  PoolTaskContext& context_;
  Unreached unreached_;
  Phase phase_ = Phase::kMark;
  ObjectNumber next_ = 0;  // candidates below are forgotten
};

}  // namespace vexor::maintenance
