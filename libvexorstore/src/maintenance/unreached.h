// Which objects of a pool may go: sweeps erase them, and records of a replica set forget them.
//
// An object that
//   (a) no ref of any repository of the pool reaches, hidden refs and repositories that were deleted within the
//       retention of deleted ones included;
//   (b) no value that a ref had within the retention reaches;
//   (c) was pushed before the retention;
//   (d) is no delta base, at any depth, of an object that stays; and
//   (e) no record forgot before.
// "Within the retention" is by journal sequence: from the first record that is young enough on.
//
// Found without the pool's gate, in steps; what happens meanwhile is in the journal, and catch_up() takes it over. Who acts on
// candidates() holds the gate alone from before the snapshot that catch_up() reads until all is done (maintenance/sweep.h says why).
#pragma once

#include "maintenance/journal_window.h"
#include "maintenance/pool_task.h"
#include "pack/reachability_walker.h"

namespace vexor::maintenance {

// Threads: one. Memory: a few bits for each object, 8 octets for each candidate that is a delta.
class Unreached {
 public:
  using Pass = std::unique_ptr<store::PoolGate::Pass>;
  explicit Unreached(PoolTaskContext& context) : context_(context) {}

  // What refs reach. False: counting tells that there is nothing to be found. Errors: kIo, kCorrupt.
  Result<bool> mark();
  // After mark(): reads the pool. True: over. Errors: kIo, kCorrupt.
  Result<bool> scan(Budget& budget);
  // Takes over what the journal tells since the last call.
  Result<void> catch_up(const store::SnapshotPtr& snapshot);
  // Null: pushes are at work; another step comes. After many tries it waits for them.
  Pass enter_gate();

  const Roaring& candidates() const { return candidates_; }
  bool is_reached(ObjectNumber number) const { return reached_.contains(number); }
  bool stays(ObjectNumber number) const { return reached_.contains(number) || pinned_.contains(number); }
  // Commits that nothing reaches and that may have a row in the graph, which their parents and trees may not outlive. Of those that
  // done_with_loose_commits() left.
  const Roaring& loose_commits();
  void done_with_loose_commits() { loose_commits_ = Roaring(); }
  void done_with_loose_commits(const Roaring& done) { loose_commits_ -= done; }

 private:
  Result<bool> may_have_garbage(const sys::StorageSnapshot& snapshot) const;
  Result<void> leave_out_forgotten(const sys::StorageSnapshot& snapshot);
  Result<void> keep_reached(pack::ReachabilityWalker& walker, ObjectNumber tip);
  Result<void> keep_bases_of(const sys::StorageSnapshot& snapshot, ObjectNumber first, std::uint32_t count);
  // `numbers`, and the bases below them, are candidates no more.
  void keep(const Roaring& numbers);

  PoolTaskContext& context_;
  bool is_marked_ = false;
  Roaring reached_;     // what refs reach; closed
  Roaring pinned_;      // what stays besides
  Roaring forgotten_;   // by records
  Roaring candidates_;
  std::vector<std::pair<ObjectNumber, ObjectNumber>> candidate_bases_;  // of candidates that are deltas, by number
  Roaring needed_bases_;   // of objects that stay; while scanning
  Roaring loose_commits_;  // unreached when they were seen, with graph rows
  std::size_t ranges_seen_ = 0;  // of the pool's events
  std::size_t named_seen_ = 0;
  ObjectNumber scan_next_ = 0;
  unsigned gate_tries_ = 0;
};

}  // namespace vexor::maintenance
