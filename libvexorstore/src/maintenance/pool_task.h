// PoolTask: one kind of upkeep of one pool, in steps.
//
// Between steps a task holds no lock and no snapshot that it needs; whatever happens there (pushes, a
// purge, the end of the process) leaves the store whole, and the task sees it at the next step.
#pragma once

#include "maintenance/journal_window.h"
#include "maintenance/pool_extents.h"

namespace vexor::maintenance {

// What one step may use up.
class Budget {
 public:
  Budget(const sys::Clock& clock, std::uint64_t bytes, std::int64_t time_ms)
      : clock_(clock), bytes_(bytes), end_ms_(clock.monotonic_time_ms() + time_ms) {}
  void use(std::uint64_t bytes) {
    used_ += bytes;
    if (clock_.monotonic_time_ms() >= end_ms_) late_ = true;
  }
  void give_up() { late_ = true; }  // nothing to do now; later there may be
  bool is_used_up() const { return late_ || used_ >= bytes_; }
  std::uint64_t used() const { return used_; }

 private:
  const sys::Clock& clock_;
  std::uint64_t bytes_;
  std::int64_t end_ms_;
  std::uint64_t used_ = 0;
  bool late_ = false;
};

struct PoolTaskContext {
  store::StoreCore& core;
  PoolId pool;
  HashAlgorithm algorithm;
  const MaintenancePolicy& policy;
  MaintenanceFigures& figures;
  JournalWindow& journal;
  RepositoryId home;                // a repository of the pool, deleted or not, when the pass began
  std::vector<RepositoryId> users;  // repositories of the pool but those deleted before the retention; later ones are in the journal
  // How far the task is, for those who look.
  std::uint64_t done = 0;
  std::uint64_t total = 0;
};

class PoolTask {
 public:
  virtual ~PoolTask() = default;
  // True: the task is over. kConflict: rows changed meanwhile and nothing was written; another step may go on.
  virtual Result<bool> step(Budget& budget) = 0;
};

std::unique_ptr<PoolTask> make_merge_task(PoolTaskContext& context);
std::unique_ptr<PoolTask> make_sweep_task(PoolTaskContext& context);
std::unique_ptr<PoolTask> make_redelta_task(PoolTaskContext& context);
std::unique_ptr<PoolTask> make_freeze_task(PoolTaskContext& context);
std::unique_ptr<PoolTask> make_thaw_task(PoolTaskContext& context);
// Pool 0: the rows that belong to no pool. No other task knows it.
std::unique_ptr<PoolTask> make_scrub_task(PoolTaskContext& context);

// Reads, changes and writes the pool's upkeep row as part of a replacement.
Result<void> change_upkeep(const sys::StorageSnapshot& snapshot, PoolId pool, Replacement& out,
                           const std::function<void(format::PoolUpkeepRow&)>& change);

}  // namespace vexor::maintenance
