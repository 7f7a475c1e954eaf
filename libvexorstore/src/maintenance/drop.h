// Drop: takes the bytes of forgotten objects out of the extents of a member of a replica set, later and by itself.
// Spec: docs/format/forgotten.md, docs/adr/0024-forgetting-by-record.md.
//
// What goes: an object that a record forgot long enough ago (MaintenancePolicy::forgotten_retention_seconds), and that is no delta base, at
// any depth, of an object that stays here. Members may differ in it, as they do in all forms of extents.
//
// Why it loses nothing. No ref and no index row of this member leads to a forgotten object, and none will again: a push that brings the object gets
// another number. What may lean on one is a stored delta:
//   1. A delta of a record before the one that forgot its base is here when that is applied, and the scan sees it. If maintenance here makes
//      another base for an object meanwhile, it is one that refs reached when that began: no two maintenances run at a time (MaintenanceSlot).
//   2. A push after that record leans on what can be seen then (PushSource::check_bases, maintenance/forget.h point 3). So do rows that came ahead of their
//      record and are in quarantine, where scans do not look.
//   3. The record of a delta that is sent to a member later, by one where the base is still there: that member lacks the record that forgot the
//      base too, as it comes later, and has the base.
// Readers have snapshots. No gate: nobody looks these objects up.
#pragma once

#include "maintenance/pool_task.h"
#include "store/forgotten.h"

namespace vexor::maintenance {

class DropTask final : public PoolTask {
 public:
  explicit DropTask(PoolTaskContext& context) : context_(context) {}
  // Errors besides those of PoolTask: kCorrupt (the index leads to a forgotten object: nothing of it is dropped).
  Result<bool> step(Budget& budget) override;

 private:
  enum class Phase : std::uint8_t { kBegin, kScan, kErase, kDone };

  Result<void> begin();
  Result<void> scan(Budget& budget);
  void keep(const Roaring& numbers);
  Result<void> erase(Budget& budget);
  Result<void> erase_extent(const sys::StorageSnapshot& snapshot, ExtentScan& extent, Replacement& out);
  Result<void> note(const sys::StorageSnapshot& snapshot, Replacement& out, bool is_over, std::uint64_t dropped);

  PoolTaskContext& context_;
  Phase phase_ = Phase::kBegin;
  std::uint64_t records_ = 0;  // of the records that are long enough ago, the last one
  Roaring candidates_;         // forgotten, and to go if nothing leans on them
  Roaring present_;            // of these, what has bytes here
  std::vector<std::pair<ObjectNumber, ObjectNumber>> candidate_bases_;  // of candidates that are deltas, by number
  Roaring needed_bases_;       // of objects that stay
  Roaring kept_;               // were candidates
  ObjectNumber next_ = 0;
};

}  // namespace vexor::maintenance
